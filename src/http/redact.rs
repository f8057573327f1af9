//! Masks secrets in what is traced: headers, URLs, JSON bodies.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

/// What stands in place of a masked value.
const MASK: &str = "***";

/// Bodies longer than this are cut in traces; the head says enough.
const LONGEST_BODY: usize = 4096;

/// Headers whose value is a secret.
const HEADERS: [&str; 13] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-auth-token",
    "x-metadata-token",
    "x-securitykey-token",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-security-token",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-key",
    "x-security-token",
    "x-subject-token",
];

/// Query parameters of signed links.
const PARAMETERS: [&str; 8] = [
    "accesskeyid",
    "awsaccesskeyid",
    "signature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-obs-security-token",
    "token",
];

/// JSON keys whose value is a secret, without `_` and `-`, in lower case.
const KEYS: [&str; 10] = [
    "accesskey",
    "access",
    "passcode",
    "password",
    "secret",
    "secretaccesskey",
    "secretkey",
    "securitytoken",
    "sk",
    "xsubjecttoken",
];

/// A header's value as it may be shown.
pub fn header<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if HEADERS.contains(&name.to_ascii_lowercase().as_str()) { Cow::Borrowed(MASK) } else { Cow::Borrowed(value) }
}

/// All headers in one line, as they may be shown.
pub fn headers(headers: &HeaderMap) -> String {
    let shown = |(name, value): (&HeaderName, &HeaderValue)| {
        let text = if value.is_sensitive() { Cow::Borrowed(MASK) } else { String::from_utf8_lossy(value.as_bytes()) };
        format!("{name}: {}", header(name.as_str(), &text))
    };
    headers.iter().map(shown).collect::<Vec<_>>().join("; ")
}

/// A URL as it may be shown: user information and signature parameters masked.
pub fn url(url: &Url) -> String {
    let mut shown = url.clone();
    if shown.password().is_some() {
        // A URL that has a password can have it replaced.
        let _ = shown.set_password(Some(MASK));
    }
    let Some(query) = url.query() else { return shown.into() };
    let masked: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) => format!("{name}={MASK}"),
            _ => pair.to_owned(),
        })
        .collect();
    shown.set_query(Some(&masked.join("&")));
    shown.into()
}

/// A body as it may be shown: JSON with its secrets masked and cut at 4 KiB, anything else as its length.
pub fn body(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    // A bare text or number may be a token.
    let mut document = match serde_json::from_slice::<Value>(body) {
        Ok(document) if document.is_object() || document.is_array() => document,
        _ => return format!("[{} bytes]", body.len()),
    };
    mask(&mut document);
    let mut text = document.to_string();
    if text.len() > LONGEST_BODY {
        let end = (0..=LONGEST_BODY).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            // `"token": {"id": "<token>"}` is how a token is handed to the identity service; `"token": {…}` elsewhere describes one.
            for (key, member) in members.iter_mut() {
                let plain = key.replace(['_', '-'], "").to_ascii_lowercase();
                if KEYS.contains(&plain.as_str()) && !member.is_object() {
                    *member = Value::from(MASK);
                } else if plain == "token" {
                    mask_token(member);
                } else if plain.ends_with("url") {
                    mask_link(member);
                } else {
                    mask(member);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask),
        _ => {}
    }
}

fn mask_token(value: &mut Value) {
    match value {
        Value::String(_) => *value = Value::from(MASK),
        Value::Object(members) => {
            if let Some(id) = members.get_mut("id") {
                *id = Value::from(MASK);
            }
            members.values_mut().for_each(mask);
        }
        _ => {}
    }
}

fn mask_link(value: &mut Value) {
    if let Value::String(text) = value {
        if let Ok(link) = Url::parse(text) {
            *text = url(&link);
        }
    } else {
        mask(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Url, body, header, url};

    #[test]
    fn no_secret_is_left_in_a_trace() {
        assert_eq!(header("X-Auth-Token", "t0ken"), "***");
        assert_eq!(header("Content-Type", "application/json"), "application/json");
        let link = Url::parse("https://u:pw@b.example/k?AccessKeyId=AK1&Expires=5&Signature=abc%3D").unwrap();
        assert_eq!(url(&link), "https://u:***@b.example/k?AccessKeyId=***&Expires=5&Signature=***");
        let document = json!({
            "auth": {"identity": {"password": {"user": {"name": "me", "password": "hunter2"}}, "token": {"id": "t0ken"}}},
            "credential": {"access": "AK1", "secret": "s3cret", "securitytoken": "st"},
            "obs_url": "https://b.example/k?Signature=abc", "note": "kept",
        });
        let shown = body(document.to_string().as_bytes());
        for secret in ["hunter2", "t0ken", "AK1", "s3cret", "\"st\"", "abc"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("\"name\":\"me\"") && shown.contains("kept"));
    }

    #[test]
    fn long_bodies_are_cut_at_a_character() {
        let document = json!({"text": "ä".repeat(5000)});
        assert!(body(document.to_string().as_bytes()).len() < 4200);
        assert_eq!(body(&[0xff, 0xfe]), "[2 bytes]");
        assert_eq!(body(b"\"a-bare-token\""), "[14 bytes]");
    }
}
