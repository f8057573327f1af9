//! Masks secrets in what is traced: headers, URLs, JSON bodies.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

/// What stands in place of a masked value.
const MASK: &str = "***";

/// Bodies longer than this are cut in traces; the head says enough.
const LONGEST_BODY: usize = 4096;

/// What stands in the names of secrets: of headers, of query parameters, of JSON keys without `_` and `-`; all in lower case.
const WORDS: [&str; 9] =
    ["secret", "token", "password", "passphrase", "passwd", "signature", "credential", "dockerlogin", "private"];

/// Headers whose value is a secret though none of [`WORDS`] says so.
const HEADERS: [&str; 5] = ["authorization", "cookie", "customer-key", "kms-key-id", "api-key"];

/// Query parameters, and JSON keys without `_` and `-`, whose value is a secret though none of [`WORDS`] says so. The id of an access
/// key is half of one.
const KEYS: [&str; 11] = [
    "accesskey",
    "accesskeyid",
    "access",
    "adminpass",
    "ak",
    "apikey",
    "awsaccesskeyid",
    "passcode",
    "pwd",
    "sessionkey",
    "sk",
];

/// JSON keys of variables that users give to what they run: a name may say anything, so all values count as secrets.
const VARIABLES: [&str; 5] = ["environment", "environments", "envs", "envvariables", "buildargs"];

/// A header's value as it may be shown.
pub fn header<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let name = name.to_ascii_lowercase();
    if WORDS.iter().chain(&HEADERS).any(|word| name.contains(word)) {
        return Cow::Borrowed(MASK);
    }
    // Such as where a redirect leads to.
    link(value).map_or(Cow::Borrowed(value), Cow::Owned)
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
    // A URL that has a user or password can have them replaced. A user alone may be a token.
    if shown.password().is_some() {
        let _ = shown.set_password(Some(MASK));
    } else if !shown.username().is_empty() {
        let _ = shown.set_username(MASK);
    }
    let Some(query) = url.query() else { return shown.into() };
    let masked: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
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

/// The text without its secrets if it is an address.
fn link(text: &str) -> Option<String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    Url::parse(text).ok().map(|address| url(&address))
}

fn plain(key: &str) -> String {
    key.replace(['_', '-'], "").to_ascii_lowercase()
}

/// Whether what stands under this name is a secret.
fn is_secret(name: &str) -> bool {
    let name = plain(name);
    KEYS.contains(&name.as_str()) || WORDS.iter().any(|word| name.contains(word))
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_marked = members.get("constraint").is_some_and(|constraint| constraint["sensitive"] == true);
            for (key, member) in members.iter_mut() {
                let name = plain(key);
                if VARIABLES.contains(&name.as_str()) {
                    mask_variables(member);
                } else if is_secret(key) || name == "auth" || (is_marked && name == "value") {
                    cover(member);
                } else {
                    mask(member);
                }
                if name == "token" {
                    mask_token(member);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask),
        Value::String(text) => {
            if let Some(shown) = link(text) {
                *text = shown;
            }
        }
        _ => {}
    }
}

/// Masks texts and numbers, also those of a list. What is switched on or off is no secret, and the members of a document are masked
/// each by its own name.
fn cover(value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => *value = Value::from(MASK),
        Value::Array(elements) => elements.iter_mut().for_each(cover),
        _ => mask(value),
    }
}

/// Masks what the variables are set to, be they a document or a list.
fn mask_variables(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| *member = Value::from(MASK)),
        Value::Array(elements) => {
            for element in elements {
                match element {
                    Value::Object(members) => {
                        let values = members.iter_mut().filter(|(key, _)| *key != "name" && *key != "key");
                        values.for_each(|(_, value)| *value = Value::from(MASK));
                    }
                    other => *other = Value::from(MASK),
                }
            }
        }
        _ => cover(value),
    }
}

/// `"token": {"id": "<token>"}` is how a token is handed to the identity service; `"token": {…}` elsewhere describes one.
fn mask_token(value: &mut Value) {
    if let Some(id) = value.get_mut("id") {
        *id = Value::from(MASK);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Url, body, header, url};

    #[test]
    fn no_secret_is_left_in_a_header() {
        for name in [
            "X-Auth-Token",
            "X-Subject-Token",
            "x-obs-security-token",
            "X-Security-Token",
            "X-Metadata-Token",
            "x-swr-dockerlogin",
            "Authorization",
            "Proxy-Authorization",
            "Set-Cookie",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-customer-key-MD5",
            "x-obs-copy-source-server-side-encryption-customer-key",
            "x-obs-server-side-encryption-kms-key-id",
            "X-Api-Key",
            "X-Gateway-Secret",
        ] {
            assert_eq!(header(name, "s3cret"), "***", "{name}");
        }
        assert_eq!(header("Content-Type", "application/json"), "application/json");
        assert_eq!(header("x-obs-meta-mtime", "1700000000"), "1700000000");
        let elsewhere = header("Location", "https://b.example/k?x=1&Signature=abc");
        assert_eq!(elsewhere, "https://b.example/k?x=1&Signature=***");
    }

    #[test]
    fn no_secret_is_left_in_an_address() {
        let shown = |text: &str| url(&Url::parse(text).unwrap());
        assert_eq!(
            shown("https://u:pw@b.example/k?AccessKeyId=AK1&Expires=5&Signature=abc%3D"),
            "https://u:***@b.example/k?AccessKeyId=***&Expires=5&Signature=***"
        );
        assert_eq!(
            shown("https://ghp_x@b.example/?X-Amz-Credential=a&X-Amz-Signature=b&x-obs-security-token=c&max-keys=9"),
            "https://***@b.example/?X-Amz-Credential=***&X-Amz-Signature=***&x-obs-security-token=***&max-keys=9"
        );
    }

    #[test]
    fn no_secret_is_left_in_a_document() {
        let document = json!({
            "auth": {"identity": {"password": {"user": {"name": "me", "password": "s3cret-1"}}, "token": {"id": "s3cret-2"}}},
            "credential": {"access": "s3cret-3", "secret": "s3cret-4", "securitytoken": "s3cret-5"},
            "credentials": {"accessKeyId": "s3cret-6", "secretAccessKey": "s3cret-7"},
            "auths": {"swr.example": {"auth": "s3cret-8", "email": "me@b.example"}},
            "api_key": "s3cret-9", "private_key": "s3cret-10", "user_passwords": ["s3cret-11"], "AK": "s3cret-12",
            "obs_url": "https://b.example/k?Signature=s3cret-13", "log": "https://me:s3cret-14@b.example/k",
            "algorithm": {
                "environments": {"WANDB": "s3cret-15", "name": "s3cret-16", "SEED": 7},
                "parameters": [
                    {"name": "lr", "value": "0.1"},
                    {"name": "key", "value": "s3cret-17", "constraint": {"sensitive": true}},
                ],
            },
            "envs": [{"name": "HF_HOME", "value": "s3cret-18"}, "A=s3cret-19"],
            "passcode": 815, "note": "kept", "is_private": true,
        });
        let shown = body(document.to_string().as_bytes());
        assert!(!shown.contains("s3cret") && !shown.contains("815"), "{shown}");
        for kept in ["\"me\"", "me@b.example", "kept", "WANDB", "HF_HOME", "\"0.1\"", "\"is_private\":true"] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
    }

    #[test]
    fn long_bodies_are_cut_at_a_character() {
        let document = json!({"text": "ä".repeat(5000)});
        assert!(body(document.to_string().as_bytes()).len() < 4200);
        assert_eq!(body(&[0xff, 0xfe]), "[2 bytes]");
        assert_eq!(body(b"\"a-bare-token\""), "[14 bytes]");
    }
}
