//! AWS signature version 4 for the byte path: the key is derived once a day, the canonical request is written directly.
//!
//! `aws-sigv4` is the oracle of its tests; it costs four times as much, because it derives the key for every request.

use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::auth::Credential;

/// Stands for the digest of a body that is not signed: the connection protects it.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// A request as far as its signature is concerned.
#[derive(Debug)]
pub struct Unsigned<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// `Host` header.
    pub host: &'a str,
    /// Escaped path.
    pub path: &'a str,
    /// Escaped query, sorted by name, each with `=`; empty for none.
    pub query: &'a str,
    /// Further headers to sign, in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// Hex SHA-256 of the body or [`UNSIGNED_PAYLOAD`].
    pub payload: &'a str,
}

/// What the signature adds to the request.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// `x-amz-date`.
    pub date: String,
    /// `authorization`.
    pub authorization: String,
}

/// Signs with a cached key.
#[derive(Debug)]
pub struct Signer {
    region: String,
    key: RwLock<Option<Arc<Key>>>,
}

struct Key {
    day: String,
    credential: Arc<Credential>,
    hmac: Hmac<Sha256>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Key").field("day", &self.day).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer for one region.
    pub fn new(region: impl Into<String>) -> Self {
        Self { region: region.into(), key: RwLock::new(None) }
    }

    /// Signs a request as sent at `now`. A security token is signed along; the caller sends it as `x-amz-security-token`.
    pub fn sign(&self, request: &Unsigned<'_>, credential: &Arc<Credential>, now: OffsetDateTime) -> Signature {
        let date = timestamp(now);
        let day = &date[..8];
        let (canonical, signed) = canonical_request(request, credential, &date);
        let scope = [day, "/", &self.region, "/s3/aws4_request"].concat();
        let mut text = String::with_capacity(192);
        for part in ["AWS4-HMAC-SHA256\n", &date, "\n", &scope, "\n"] {
            text.push_str(part);
        }
        push_hex(&mut text, &Sha256::digest(canonical.as_bytes()));
        let mut mac = self.key(day, credential).hmac.clone();
        mac.update(text.as_bytes());
        let mut authorization = String::with_capacity(320);
        let access_key = &credential.access_key;
        for part in ["AWS4-HMAC-SHA256 Credential=", access_key, "/", &scope, ", SignedHeaders=", &signed, ", Signature="] {
            authorization.push_str(part);
        }
        push_hex(&mut authorization, &mac.finalize().into_bytes());
        Signature { date, authorization }
    }

    fn key(&self, day: &str, credential: &Arc<Credential>) -> Arc<Key> {
        let fits = |key: &Key| {
            key.day == day
                && (Arc::ptr_eq(&key.credential, credential)
                    || (key.credential.access_key == credential.access_key
                        && key.credential.secret_key == credential.secret_key))
        };
        if let Some(key) = self.key.read().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|key| fits(key)) {
            return Arc::clone(key);
        }
        let first = format!("AWS4{}", credential.secret_key.expose());
        let steps = [day, &self.region, "s3", "aws4_request"];
        let last =
            steps.iter().fold(first.into_bytes(), |key, step| hmac(&key).chain_update(step).finalize().into_bytes().to_vec());
        let key = Arc::new(Key { day: day.to_owned(), credential: Arc::clone(credential), hmac: hmac(&last) });
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        key
    }
}

/// `20260115T083000Z`.
fn timestamp(now: OffsetDateTime) -> String {
    let now = now.to_offset(time::UtcOffset::UTC);
    let (hour, minute, second) = now.to_hms();
    let mut text = String::with_capacity(16);
    let push = |text: &mut String, number: u32| {
        text.extend([number / 10 % 10, number % 10].into_iter().filter_map(|digit| char::from_digit(digit, 10)));
    };
    let year = now.year().unsigned_abs();
    for number in [year / 100, year % 100, u32::from(u8::from(now.month())), now.day().into()] {
        push(&mut text, number);
    }
    text.push('T');
    for number in [hour, minute, second] {
        push(&mut text, number.into());
    }
    text.push('Z');
    text
}

/// Appends a SHA-256 in hex.
fn push_hex(text: &mut String, digest: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.extend(digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])));
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn canonical_request(request: &Unsigned<'_>, credential: &Credential, date: &str) -> (String, String) {
    let mut headers: Vec<(&str, &str)> = Vec::with_capacity(request.headers.len() + 4);
    headers.extend_from_slice(request.headers);
    headers.push(("host", request.host));
    headers.push(("x-amz-content-sha256", request.payload));
    headers.push(("x-amz-date", date));
    if let Some(token) = &credential.security_token {
        headers.push(("x-amz-security-token", token.expose()));
    }
    headers.sort_unstable_by_key(|(name, _)| *name);
    let mut text = String::with_capacity(512);
    for part in [request.method, "\n", request.path, "\n", request.query, "\n"] {
        text.push_str(part);
    }
    let mut signed = String::with_capacity(96);
    for (name, value) in &headers {
        text.push_str(name);
        text.push(':');
        push_value(&mut text, value);
        text.push('\n');
        if !signed.is_empty() {
            signed.push(';');
        }
        signed.push_str(name);
    }
    for part in ["\n", &signed, "\n", request.payload] {
        text.push_str(part);
    }
    (text, signed)
}

/// Blanks inside a value count as one.
fn push_value(text: &mut String, value: &str) {
    if !value.contains("  ") {
        text.push_str(value);
        return;
    }
    for (index, word) in value.split_ascii_whitespace().enumerate() {
        text.push_str(if index == 0 { "" } else { " " });
        text.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
        sign,
    };
    use aws_sigv4::sign::v4;
    use proptest::prelude::*;
    use time::OffsetDateTime;

    use super::{Signer, UNSIGNED_PAYLOAD, Unsigned};
    use crate::auth::{Credential, Secret};
    use crate::obs::address::{encode_key, encode_query};

    struct Case<'a> {
        key: &'a str,
        value: &'a str,
        token: Option<&'a str>,
        md5: Option<&'a str>,
        note: Option<&'a str>,
        seconds: i64,
    }

    fn headers<'a>(case: &Case<'a>) -> Vec<(&'static str, &'a str)> {
        let (md5, note) = (case.md5.map(|md5| ("content-md5", md5)), case.note.map(|note| ("x-amz-meta-note", note)));
        md5.into_iter().chain(note).collect()
    }

    fn ours(case: &Case<'_>) -> (String, String) {
        let credential = Arc::new(Credential {
            access_key: "AKEXAMPLE".into(),
            secret_key: Secret::new("secret/+="),
            security_token: case.token.map(Secret::new),
            expires_at: None,
        });
        let signer = Signer::new("cn-north-4");
        let headers = headers(case);
        let request = Unsigned {
            method: "PUT",
            host: "bkt.example.com:9000",
            path: &format!("/{}", encode_key(case.key)),
            query: &format!("partNumber=7&uploadId={}", encode_query(case.value)),
            headers: &headers,
            payload: UNSIGNED_PAYLOAD,
        };
        let now = OffsetDateTime::from_unix_timestamp(case.seconds).unwrap();
        // Twice, so that the cached key is what the test sees.
        signer.sign(&request, &credential, now);
        let signature = signer.sign(&request, &credential, now);
        (signature.date, signature.authorization)
    }

    fn oracle(case: &Case<'_>) -> (String, String) {
        let identity = Credentials::new("AKEXAMPLE", "secret/+=", case.token.map(str::to_owned), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(case.seconds.unsigned_abs());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("cn-north-4")
            .name("s3")
            .time(time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let url =
            format!("http://bkt.example.com:9000/{}?partNumber=7&uploadId={}", encode_key(case.key), encode_query(case.value));
        let headers = headers(case);
        let request = SignableRequest::new("PUT", &url, headers.into_iter(), SignableBody::UnsignedPayload).unwrap();
        let (instructions, _) = sign(request, &params).unwrap().into_parts();
        let find =
            |wanted: &str| instructions.headers().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned()).unwrap();
        (find("x-amz-date"), find("authorization"))
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(
            key in "[ -~éüñ中文/]{1,40}",
            value in "[ -~é]{1,20}",
            token in proptest::option::of("[A-Za-z0-9+/=]{1,60}"),
            md5 in proptest::option::of("[A-Za-z0-9+/]{22}=="),
            note in proptest::option::of("[!-~]{1,5}( {1,3}[!-~]{1,5}){0,2}"),
            seconds in 1_000_000_000i64..2_500_000_000,
        ) {
            let case = Case { key: &key, value: &value, token: token.as_deref(), md5: md5.as_deref(), note: note.as_deref(), seconds };
            prop_assert_eq!(ours(&case), oracle(&case));
        }
    }
}
