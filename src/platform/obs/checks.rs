//! What the framework asks us about a request: whose key it is, whether it may, and which bucket its host names.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::{S3Error, S3ErrorCode, S3Result};
use time::OffsetDateTime;

use super::gate::{Verified, check_key, is_sub_resource, unknown_key};
use super::keys::KeyRing;

/// Parameters of the plain verbs; others that are sub-resources ask for something else.
const PLAIN_PARAMETERS: [&str; 4] = ["uploadid", "partnumber", "versionid", "uploads"];

/// The verbs the framework falls back to when it does not know a sub-resource.
const PLAIN_VERBS: [&str; 10] = [
    "CreateBucket",
    "DeleteBucket",
    "DeleteObject",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListObjects",
    "ListObjectsV2",
    "PutObject",
];

/// Answers the framework's questions from the key ring.
#[derive(Debug, Clone)]
pub(super) struct Checks(pub(super) Arc<dyn KeyRing>);

#[async_trait::async_trait]
impl S3Auth for Checks {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let key = self.0.find(access_key).ok_or_else(unknown_key)?;
        Ok(SecretKey::from(key.secret_key.expose()))
    }
}

#[async_trait::async_trait]
impl S3Access for Checks {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let access_key = context.credentials().map(|credentials| credentials.access_key.clone());
        let (headers, query) = (context.headers().clone(), context.uri().query().unwrap_or_default().to_owned());
        self.allow(access_key.as_deref(), &headers, &query, context.extensions_mut())?;
        let verb = context.s3_op().name();
        if !PLAIN_VERBS.contains(&verb) {
            return Ok(());
        }
        let names = query.split('&').map(|parameter| parameter.split('=').next().unwrap_or_default());
        for name in names.map(str::to_ascii_lowercase).filter(|name| is_sub_resource(name)) {
            let plain = PLAIN_PARAMETERS.contains(&name.as_str()) || name.starts_with("response-") || name.starts_with("x-");
            if !plain {
                return Err(S3Error::with_message(
                    S3ErrorCode::NotImplemented,
                    format!("{} ?{name} is not implemented.", context.method()),
                ));
            }
        }
        Ok(())
    }
}

impl Checks {
    /// Lets a request pass whose signature was verified, here or by the framework.
    ///
    /// # Errors
    /// `AccessDenied` without a signature; a temporary key without its token, or expired.
    pub(super) fn allow(
        &self,
        access_key: Option<&str>,
        headers: &HeaderMap,
        query: &str,
        extensions: &Extensions,
    ) -> S3Result<()> {
        if extensions.get::<Verified>().is_some() {
            return Ok(());
        }
        let Some(access_key) = access_key else {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied: the request is not signed."));
        };
        let key = self.0.find(access_key).ok_or_else(unknown_key)?;
        let header = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let token = header.or_else(|| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == "X-Amz-Security-Token").map(|(_, value)| value.into_owned())
        });
        check_key(&key, token.as_deref(), OffsetDateTime::now_utc())
    }
}

impl S3Host for Checks {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match virtual_bucket(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}

/// The bucket that a host names: what stands before `.obs.` (as in `bucket.obs.localhost`) or before `.localhost`. Addresses and
/// other names are path style.
pub(super) fn virtual_bucket(host: &str) -> Option<&str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    if name.starts_with('[') || name.parse::<IpAddr>().is_ok() {
        return None;
    }
    let bucket = match name.rfind(".obs.") {
        Some(position) => &name[..position],
        None if name.starts_with("obs.") => return None,
        None => name.strip_suffix(".localhost")?,
    };
    (!bucket.is_empty() && bucket != "obs").then_some(bucket)
}

#[cfg(test)]
mod tests {
    use super::virtual_bucket;

    #[test]
    fn hosts() {
        let cases = [
            ("bucket.obs.localhost:9000", Some("bucket")),
            ("bucket.obs.localhost", Some("bucket")),
            ("a.b.obs.cn-north-4.myhuaweicloud.com", Some("a.b")),
            ("bucket.localhost:80", Some("bucket")),
            ("obs.localhost:9000", None),
            ("obs.cn-north-4.myhuaweicloud.com", None),
            ("localhost:9000", None),
            ("127.0.0.1:9000", None),
            ("[::1]:9000", None),
            ("::1", None),
            ("machine", None),
            ("", None),
        ];
        for (host, bucket) in cases {
            assert_eq!(virtual_bucket(host), bucket, "{host}");
        }
    }
}
