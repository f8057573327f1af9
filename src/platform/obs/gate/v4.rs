//! AWS version 4 as the vendor's SDK signs it: with `Date`, without `x-amz-date`. The framework takes the usual form only.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::{S3Error, S3ErrorCode, S3Result};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::macros::format_description;

use super::query::Query;
use super::signature::{PATH, parse_date};
use crate::platform::obs::keys::AccessKey;

/// What the `Authorization` header begins with.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Characters that stay as they are in a value of the query.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the `Authorization` header claims.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) access_key: String,
    /// `date/region/service/aws4_request`.
    scope: String,
    signed_headers: String,
    signature: String,
}

impl Claim {
    /// # Errors
    /// `InvalidRequest` when it is not well formed.
    pub(super) fn parse(authorization: &str) -> S3Result<Self> {
        let malformed = || S3Error::with_message(S3ErrorCode::InvalidRequest, "The Authorization header is malformed.");
        let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(malformed)?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
                .ok_or_else(malformed)
        };
        let credential = field("Credential")?;
        let (access_key, scope) = credential.split_once('/').ok_or_else(malformed)?;
        let claim = Self {
            access_key: access_key.to_owned(),
            scope: scope.to_owned(),
            signed_headers: field("SignedHeaders")?.to_ascii_lowercase(),
            signature: field("Signature")?,
        };
        let signs = |name: &str| claim.signed_headers.split(';').any(|header| header == name);
        // Otherwise a signature could be used at any time, or for any bucket.
        if claim.scope.split('/').count() != 4 || !signs("date") || !signs("host") {
            return Err(malformed());
        }
        Ok(claim)
    }

    /// # Errors
    /// `SignatureDoesNotMatch`.
    pub(super) fn check(&self, parts: &Parts, query: &Query, key: &AccessKey) -> S3Result<()> {
        let path = parts.uri.path();
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let encoded = utf8_percent_encode(&decoded, PATH).to_string();
        for path in [path, &encoded] {
            let text = self.string_to_sign(parts, &self.canonical_request(parts, query, path));
            let signature = text.map(|text| hex::encode(mac(&self.signing_key(key), &text)));
            if signature.is_some_and(|signature| signature.as_bytes().ct_eq(self.signature.as_bytes()).into()) {
                return Ok(());
            }
        }
        Err(S3ErrorCode::SignatureDoesNotMatch.into())
    }

    pub(super) fn canonical_request(&self, parts: &Parts, query: &Query, path: &str) -> String {
        let mut parameters: Vec<(String, String)> = query
            .iter()
            .map(|parameter| {
                let value = parameter.value.as_deref().unwrap_or_default();
                (utf8_percent_encode(&parameter.name, PATH).to_string(), utf8_percent_encode(value, VALUE).to_string())
            })
            .collect();
        parameters.sort();
        let parameters: Vec<String> = parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = String::new();
        for name in self.signed_headers.split(';') {
            let values = parts.headers.get_all(name).iter();
            let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).collect();
            headers.push_str(&format!("{name}:{}\n", values.join(",")));
        }
        let payload = super::header(parts, "x-amz-content-sha256").unwrap_or_else(|| "UNSIGNED-PAYLOAD".to_owned());
        format!("{}\n{path}\n{}\n{headers}\n{}\n{payload}", parts.method, parameters.join("&"), self.signed_headers)
    }

    fn string_to_sign(&self, parts: &Parts, canonical_request: &str) -> Option<String> {
        let date = parse_date(&super::header(parts, "date")?)?;
        let date = date.format(format_description!("[year][month][day]T[hour][minute][second]Z")).ok()?;
        let digest = hex::encode(Sha256::digest(canonical_request.as_bytes()));
        Some(format!("{ALGORITHM}\n{date}\n{}\n{digest}", self.scope))
    }

    fn signing_key(&self, key: &AccessKey) -> Vec<u8> {
        let start = format!("AWS4{}", key.secret_key.expose()).into_bytes();
        self.scope.split('/').fold(start, |key, field| mac(&key, field))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
