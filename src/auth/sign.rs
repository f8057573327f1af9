//! The control planes' request signature, `SDK-HMAC-SHA256`. Pure: everything, the date included, comes in.
//!
//! ```text
//! canonical request = method \n path/ \n query \n name:value\n… \n names \n hash of the body
//! text to sign      = SDK-HMAC-SHA256 \n date \n hash of the canonical request
//! ```

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use crate::auth::{Credential, Error};
use crate::http::Request;

/// Name of the algorithm, the first word of the `Authorization` header.
pub const ALGORITHM: &str = "SDK-HMAC-SHA256";

const DATE: HeaderName = HeaderName::from_static("x-sdk-date");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-sdk-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-security-token");

/// Everything but `A-Z a-z 0-9 - . _ ~` is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one path segment, query name or query value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The query text of these pairs: sorted by name, then value, before they are encoded. It is signed and sent as it is.
pub fn query(pairs: &[(String, String)]) -> String {
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort();
    let joined: Vec<String> = sorted.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    joined.join("&")
}

/// Adds `Host`, `X-Sdk-Date`, for temporary keys `X-Security-Token`, and `Authorization` to the request.
///
/// Every header that is there already is signed, so nothing may change one afterwards.
///
/// # Errors
/// [`Error::Unsignable`] when the keys or the URL cannot be put into a header.
pub fn sign(request: &mut Request, credential: &Credential, now: OffsetDateTime) -> Result<(), Error> {
    let date = now
        .to_offset(time::UtcOffset::UTC)
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .map_err(|error| Error::Unsignable(error.to_string()))?;
    request.headers.insert(DATE, text(&date)?);
    request.headers.insert(http::header::HOST, text(&authority(&request.url)?)?);
    if let Some(token) = &credential.security_token {
        let mut value = text(token.expose())?;
        value.set_sensitive(true);
        request.headers.insert(SECURITY_TOKEN, value);
    }
    let other_body = request.headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| {
        !kind.as_bytes().starts_with(b"application/json") && !kind.as_bytes().starts_with(b"application/bson")
    });
    if other_body {
        request.headers.insert(CONTENT_HASH, HeaderValue::from_static("UNSIGNED-PAYLOAD"));
    }
    let names = signed_names(&request.headers);
    let canonical = canonical_request(request, &names);
    let to_sign = format!("{ALGORITHM}\n{date}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(credential.secret_key.expose().as_bytes()).expect("HMAC takes keys of every length");
    mac.update(to_sign.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let authorization =
        format!("{ALGORITHM} Access={}, SignedHeaders={}, Signature={signature}", credential.access_key, names.join(";"));
    let mut value = text(&authorization)?;
    value.set_sensitive(true);
    request.headers.insert(http::header::AUTHORIZATION, value);
    Ok(())
}

/// The id of the access key that [`sign`] signed the request with.
pub(in crate::auth) fn access_key(request: &Request) -> Option<&str> {
    let authorization = request.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    authorization.strip_prefix(ALGORITHM)?.trim_start().strip_prefix("Access=")?.split(',').next()
}

fn text(value: &str) -> Result<HeaderValue, Error> {
    // The bytes of non-ASCII text are signed and sent as UTF-8.
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Error::Unsignable("a value holds a control character".to_owned()))
}

fn authority(url: &Url) -> Result<String, Error> {
    let host = url.host_str().ok_or_else(|| Error::Unsignable("the URL names no host".to_owned()))?;
    Ok(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Names with an underscore are left out: gateways drop such headers.
fn signed_names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).filter(|name| !name.contains('_')).collect();
    names.sort_unstable();
    names
}

fn canonical_request(request: &Request, names: &[&str]) -> String {
    let mut lines = String::new();
    for name in names {
        let value = request.headers.get(*name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
        lines.push_str(&format!("{name}:{}\n", value.unwrap_or_default()));
    }
    [
        request.method.as_str(),
        &canonical_path(request.url.path()),
        &canonical_query(request.url.query().unwrap_or_default()),
        &lines,
        &names.join(";"),
        &body_hash(request),
    ]
    .join("\n")
}

/// The path is decoded before it is split, so `%2F` inside a segment becomes a separator: the service does the same.
fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut canonical = decoded.split('/').map(encode).collect::<Vec<_>>().join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

fn canonical_query(text: &str) -> String {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let pairs: Vec<(String, String)> = text
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            pair.split_once('=').map_or_else(|| (decode(pair), String::new()), |(name, value)| (decode(name), decode(value)))
        })
        .collect();
    query(&pairs)
}

fn body_hash(request: &Request) -> String {
    let given = request.headers.get(CONTENT_HASH).and_then(|value| value.to_str().ok());
    match given {
        Some(given) if !request.body.is_empty() => given.to_owned(),
        _ => hex::encode(Sha256::digest(&request.body)),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderName, HeaderValue};
    use serde_json::Value;
    use time::macros::datetime;
    use url::Url;

    use super::{canonical_request, query, sign, signed_names};
    use crate::auth::{Credential, Secret};
    use crate::http::Request;

    /// A query value as the vendor's SDK writes it; a list repeats its name.
    fn pairs(name: &str, value: &Value) -> Vec<(String, String)> {
        match value {
            Value::String(text) => vec![(name.to_owned(), text.clone())],
            Value::Array(values) => values.iter().flat_map(|value| pairs(name, value)).collect(),
            other => vec![(name.to_owned(), other.to_string())],
        }
    }

    fn request(vector: &Value) -> Request {
        let text = |key: &str| vector[key].as_str().unwrap();
        let mut url = Url::parse(&format!("https://{}{}", text("host"), text("path"))).unwrap();
        let listed = vector["query"].as_array().unwrap();
        let all: Vec<_> = listed.iter().flat_map(|pair| pairs(pair[0].as_str().unwrap(), &pair[1])).collect();
        if !all.is_empty() {
            url.set_query(Some(&query(&all)));
        }
        let mut request = Request::new(text("method").parse().unwrap(), url);
        for (name, value) in vector["headers"].as_object().unwrap() {
            let value = HeaderValue::from_bytes(value.as_str().unwrap().as_bytes()).unwrap();
            request.headers.insert(name.parse::<HeaderName>().unwrap(), value);
        }
        if let Some(project) = vector["project_id"].as_str() {
            request.headers.insert("x-project-id", project.parse().unwrap());
        }
        request.body = Bytes::from(text("body").to_owned());
        request
    }

    #[test]
    fn every_vector_of_the_vendor_sdk_is_reproduced() {
        let vectors: Value = serde_json::from_str(include_str!("../../tests/data/signing-vectors.json")).unwrap();
        let listed = vectors["sdk_hmac_sha256"].as_array().unwrap();
        assert!(listed.len() >= 11);
        for vector in listed {
            assert_eq!(vector["date"], "20260115T083000Z");
            let credential = Credential {
                access_key: vectors["access_key"].as_str().unwrap().to_owned(),
                secret_key: Secret::from(vectors["secret_key"].as_str().unwrap()),
                security_token: vector["security_token"].as_str().map(Secret::from),
                expires_at: None,
            };
            let mut request = request(vector);
            sign(&mut request, &credential, datetime!(2026-01-15 08:30 UTC)).unwrap();
            let authorization = request.headers.remove("authorization").unwrap();
            let canonical = canonical_request(&request, &signed_names(&request.headers));
            assert_eq!(canonical, vector["canonical_request"].as_str().unwrap(), "{}", vector["name"]);
            assert_eq!(authorization.to_str().unwrap(), vector["authorization"].as_str().unwrap(), "{}", vector["name"]);
            let sent = request.url.query().map_or_else(String::new, |query| format!("?{query}"));
            assert_eq!(format!("{}{sent}", request.url.path()), vector["request_uri"].as_str().unwrap(), "{}", vector["name"]);
        }
    }
}
