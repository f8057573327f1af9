//! Checks the signature `SDK-HMAC-SHA256` of a request, rebuilt from what came in on the wire.
//!
//! Pure: the caller brings the request's raw parts, the secret key and the time.

use http::{HeaderMap, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, macros::format_description};

use hmac::{Hmac, KeyInit as _, Mac as _};

use super::identity::Refusal;

/// Name of the only algorithm the vendor's clients use by default.
pub(crate) const ALGORITHM: &str = "SDK-HMAC-SHA256";

/// How far a client's clock may be off, either way.
const MOST_SKEW: Duration = Duration::minutes(15);

/// Value of `X-Sdk-Content-Sha256` for bodies that the signature does not cover.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const DATE_HEADER: &str = "x-sdk-date";
const DIGEST_HEADER: &str = "x-sdk-content-sha256";

/// Everything but the characters that RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    /// Method, in upper case.
    pub method: &'a str,
    /// Path as sent, still encoded.
    pub path: &'a str,
    /// Query as sent, without the question mark; empty when there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// The three fields of the `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    /// Access key the request claims to be signed with.
    pub access_key: String,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    /// Reads the header's value.
    ///
    /// # Errors
    /// Another algorithm, or a field is missing.
    pub(crate) fn parse(value: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::Malformed("the Authorization header cannot be read");
        let fields = value.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' ')).ok_or_else(malformed)?;
        let (mut access_key, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Access", value)) => access_key = Some(value),
                Some(("SignedHeaders", value)) => signed_headers = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => return Err(malformed()),
            }
        }
        let (Some(access_key), Some(signed_headers), Some(signature)) = (access_key, signed_headers, signature) else {
            return Err(malformed());
        };
        Ok(Self {
            access_key: access_key.to_owned(),
            signed_headers: signed_headers.split(';').map(str::to_ascii_lowercase).collect(),
            signature: signature.to_owned(),
        })
    }

    /// Checks what can be checked before the body is read: the headers that must be signed, and the date.
    ///
    /// # Errors
    /// `host` or `x-sdk-date` is not signed, or the date is more than 15 minutes off.
    pub(crate) fn check_head(&self, headers: &HeaderMap, now: OffsetDateTime) -> Result<(), Refusal> {
        for name in ["host", DATE_HEADER] {
            if !self.signed_headers.iter().any(|signed| signed == name) {
                return Err(Refusal::Malformed("the headers host and x-sdk-date must be signed"));
            }
        }
        let date = headers.get(DATE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let date = PrimitiveDateTime::parse(date.trim(), format)
            .map_err(|_| Refusal::Malformed("the header X-Sdk-Date is not a time like 20260115T083000Z"))?;
        if (now - date.assume_utc()).abs() > MOST_SKEW {
            return Err(Refusal::Skewed);
        }
        Ok(())
    }

    /// Compares the signature with the one that `secret_key` gives, in constant time.
    ///
    /// # Errors
    /// The signature differs, a signed header is absent, or the body is not the one that was signed.
    pub(crate) fn check(&self, parts: Parts<'_>, secret_key: &str) -> Result<(), Refusal> {
        let canonical = canonical_request(parts, &self.signed_headers)?;
        let date = parts.headers.get(DATE_HEADER).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let expected = hex::encode(keyed_digest(secret_key, &string_to_sign(date.trim_ascii(), &canonical)));
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) { Ok(()) } else { Err(Refusal::WrongSignature) }
    }
}

fn keyed_digest(key: &str, text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn string_to_sign(date: &[u8], canonical_request: &[u8]) -> Vec<u8> {
    let digest = hex::encode(Sha256::digest(canonical_request));
    [ALGORITHM.as_bytes(), date, digest.as_bytes()].join(&b'\n')
}

fn canonical_request(parts: Parts<'_>, signed_headers: &[String]) -> Result<Vec<u8>, Refusal> {
    let mut headers = Vec::new();
    for name in signed_headers {
        headers.extend_from_slice(name.as_bytes());
        headers.push(b':');
        headers.extend(header_value(parts.headers, name)?);
        headers.push(b'\n');
    }
    let path = canonical_path(parts.path);
    let query = canonical_query(parts.query);
    let names = signed_headers.join(";");
    let digest = payload_digest(parts)?;
    let pieces: [&[u8]; 6] =
        [parts.method.as_bytes(), path.as_bytes(), query.as_bytes(), &headers, names.as_bytes(), digest.as_bytes()];
    Ok(pieces.join(&b'\n'))
}

/// The value of a header, its white space stripped at both ends; repeated headers are joined by commas.
fn header_value(headers: &HeaderMap, name: &str) -> Result<Vec<u8>, Refusal> {
    let name = HeaderName::try_from(name).map_err(|_| Refusal::Malformed("a signed header has no valid name"))?;
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    if values.is_empty() {
        return Err(Refusal::Malformed("a signed header is not part of the request"));
    }
    Ok(values.join(&b','))
}

/// The whole path is decoded before it is split, so an encoded slash becomes a separator here, as the clients do it.
fn canonical_path(path: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    let mut canonical = decoded.split(|byte| *byte == b'/').map(encode).collect::<Vec<_>>().join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// Pairs are sorted by their text before encoding; an absent value counts as an empty one.
fn canonical_query(query: &str) -> String {
    let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decode(key), decode(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect::<Vec<_>>().join("&")
}

fn encode(text: &[u8]) -> String {
    percent_encode(text, ENCODED).to_string()
}

/// An empty body counts as empty whatever the header says; a digest in the header must be that of the body.
fn payload_digest(parts: Parts<'_>) -> Result<String, Refusal> {
    let digest = hex::encode(Sha256::digest(parts.body));
    let stated = parts.headers.get(DIGEST_HEADER).map(|value| value.as_bytes().trim_ascii());
    match stated {
        Some(stated) if !parts.body.is_empty() && !stated.is_empty() => {
            if stated == UNSIGNED_PAYLOAD.as_bytes() {
                Ok(UNSIGNED_PAYLOAD.to_owned())
            } else if stated.eq_ignore_ascii_case(digest.as_bytes()) {
                String::from_utf8(stated.to_vec()).map_err(|_| Refusal::WrongSignature)
            } else {
                Err(Refusal::Malformed("the body does not have the digest that X-Sdk-Content-Sha256 states"))
            }
        }
        _ => Ok(digest),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use serde_json::Value;
    use time::macros::datetime;

    use super::{Authorization, Parts, Refusal, canonical_request, string_to_sign};

    const VECTORS: &str = include_str!("../../tests/data/signing-vectors.json");

    fn headers(vector: &Value) -> HeaderMap {
        let sent = vector["sent_headers"].as_object().expect("every vector lists its headers");
        sent.iter()
            .map(|(name, value)| {
                let name = HeaderName::try_from(name).expect("header name");
                (name, HeaderValue::from_bytes(value.as_str().unwrap().as_bytes()).expect("header value"))
            })
            .collect()
    }

    fn check_vector(vector: &Value, secret_key: &str) {
        let name = vector["name"].as_str().unwrap();
        let headers = headers(vector);
        let target = vector["request_uri"].as_str().unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = vector["method"].as_str().unwrap();
        let body = vector["body"].as_str().unwrap().as_bytes();
        let parts = Parts { method, path, query, headers: &headers, body };
        let authorization = Authorization::parse(vector["authorization"].as_str().unwrap()).expect(name);
        let canonical = canonical_request(parts, &authorization.signed_headers).expect(name);
        assert_eq!(String::from_utf8_lossy(&canonical), vector["canonical_request"].as_str().unwrap(), "{name}");
        let text = string_to_sign(vector["date"].as_str().unwrap().as_bytes(), &canonical);
        assert_eq!(String::from_utf8_lossy(&text), vector["string_to_sign"].as_str().unwrap(), "{name}");
        let now = datetime!(2026-01-15 08:44:59 UTC);
        authorization.check_head(&headers, now).expect(name);
        authorization.check(parts, secret_key).expect(name);
        let wrong = authorization.check(parts, "ExampleSecretKeyForDocsOnly0123456789ABCE");
        assert!(matches!(wrong, Err(Refusal::WrongSignature)), "{name}");
        let other = Parts { path: "/v1/elsewhere", ..parts };
        assert!(matches!(authorization.check(other, secret_key), Err(Refusal::WrongSignature)), "{name}");
        for late in [datetime!(2026-01-15 08:45:01 UTC), datetime!(2026-01-15 08:14:59 UTC)] {
            assert!(matches!(authorization.check_head(&headers, late), Err(Refusal::Skewed)), "{name}");
        }
    }

    #[test]
    fn every_vector_of_the_vendors_client_is_accepted_and_nothing_else() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let list = vectors["sdk_hmac_sha256"].as_array().unwrap();
        assert!(list.len() >= 11, "the list of vectors is cut short: {}", list.len());
        for vector in list {
            check_vector(vector, vectors["secret_key"].as_str().unwrap());
        }
    }

    #[test]
    fn a_body_that_was_changed_is_refused() {
        let vectors: Value = serde_json::from_str(VECTORS).unwrap();
        let vector = &vectors["sdk_hmac_sha256"].as_array().unwrap()[1];
        assert_eq!(vector["name"], "post-json");
        let headers = headers(vector);
        let path = vector["request_uri"].as_str().unwrap();
        let parts = Parts { method: "POST", path, query: "", headers: &headers, body: b"{\"offset\":1}" };
        let authorization = Authorization::parse(vector["authorization"].as_str().unwrap()).unwrap();
        let secret_key = vectors["secret_key"].as_str().unwrap();
        assert!(matches!(authorization.check(parts, secret_key), Err(Refusal::WrongSignature)));
        let mut stated = headers.clone();
        stated.insert("x-sdk-content-sha256", HeaderValue::from_static("00"));
        let parts = Parts { headers: &stated, ..parts };
        assert!(matches!(authorization.check(parts, secret_key), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn headers_that_cannot_be_read_are_refused() {
        for text in ["", "SDK-HMAC-SHA256", "SDK-HMAC-SHA256 Access=a", "V11-HMAC-SHA256 Credential=a", "Basic eDp5"] {
            assert!(matches!(Authorization::parse(text), Err(Refusal::Malformed(_))), "{text}");
        }
        let unsigned = Authorization::parse("SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=0").unwrap();
        let refused = unsigned.check_head(&HeaderMap::new(), datetime!(2026-01-15 08:30 UTC));
        assert!(matches!(refused, Err(Refusal::Malformed(_))));
    }
}
