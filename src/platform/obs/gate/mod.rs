//! What stands before the framework: the signatures and the dialect it does not know.
//!
//! OBS signatures, AWS version 2 and the vendor's form of AWS version 4 are verified here, on the request as it came. The request
//! goes on without its signature but with a mark, on which `checks` insists. Everything else goes on as it is, and
//! the framework verifies it.

mod body;
mod dialect;
mod query;
mod signature;
mod v4;

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode, S3Result};
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

use self::body::SharedBody;
use self::query::Query;
pub(super) use self::signature::is_sub_resource;
use super::keys::{AccessKey, KeyRing};

/// How far a client's clock may be off.
const MOST_SKEW: time::Duration = time::Duration::minutes(15);

/// Query parameters that carry a signature; the framework must not see those that are verified here.
const SIGNATURE_PARAMETERS: [&str; 6] =
    ["AccessKeyId", "AWSAccessKeyId", "Expires", "Signature", "x-obs-security-token", "x-amz-security-token"];

/// The mark of a request whose signature was verified here.
#[derive(Debug, Clone)]
pub(super) struct Verified;

/// Which family of header names a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Aws,
    Obs,
}

impl Dialect {
    /// What the names of its headers begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Aws => "x-amz-",
            Self::Obs => "x-obs-",
        }
    }
}

/// Verifies, translates, and asks the framework.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    service: S3Service,
    keys: Arc<dyn KeyRing>,
}

/// Where a request carries its proof.
enum Proof {
    /// `Authorization: OBS|AWS key:signature`.
    Header { dialect: Dialect, access_key: String, signature: String },
    /// The same in the query, with a time of expiry.
    Url { dialect: Dialect },
    /// AWS version 4 that signs `Date` in place of `x-amz-date`.
    VendorV4,
    /// Nothing that this module knows: version 4, a form, or nothing at all.
    Other,
}

impl Gate {
    pub(super) fn new(service: S3Service, keys: Arc<dyn KeyRing>) -> Self {
        Self { service, keys }
    }

    /// Answers a request, always.
    pub(super) async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let request_id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        let (mut parts, incoming) = request.into_parts();
        let waits = parts.headers.contains_key(http::header::EXPECT);
        let body = SharedBody::new(incoming);
        let rest = body.clone();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        if parts.method == Method::HEAD && query.has("apiversion") {
            return dialect::finish(api_version(), Dialect::Obs, &request_id, &parts.uri).await;
        }
        let proof = proof(&parts, &query);
        let dialect = match &proof {
            Proof::Header { dialect, .. } | Proof::Url { dialect } => *dialect,
            Proof::VendorV4 | Proof::Other => Dialect::Aws,
        };
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let answer = match check_length(&parts, &query).and_then(|()| self.verify(&mut parts, &query, proof)) {
            Ok(()) => {
                dialect::translate(&mut parts, dialect);
                parts.extensions.insert(dialect);
                match dialect::translate_body(&parts, &query, dialect, body).await {
                    Ok(body) => self.ask(Request::from_parts(parts, body)).await,
                    Err(error) => error.to_http_response().unwrap_or_else(|_| internal()),
                }
            }
            Err(error) => error.to_http_response().unwrap_or_else(|_| internal()),
        };
        if answer.status().as_u16() >= 400 && !waits {
            // A client that still sends sees a broken connection in place of the answer, unless it is listened to.
            rest.drain().await;
        }
        let answer = if answer.status() == StatusCode::NOT_IMPLEMENTED {
            dialect::name_operation(answer, &method, &uri, &query)
        } else {
            answer
        };
        dialect::finish(answer, dialect, &request_id, &uri).await
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        match self.service.call(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(?error, "the framework could not answer");
                internal()
            }
        }
    }

    /// Verifies what is this module's to verify and takes the proof out of the request.
    fn verify(&self, parts: &mut http::request::Parts, query: &Query, proof: Proof) -> S3Result<()> {
        let now = OffsetDateTime::now_utc();
        match proof {
            Proof::Other => return Ok(()),
            Proof::Header { dialect, access_key, signature } => {
                let key = self.key(&access_key)?;
                signature::check_date(&parts.headers, dialect, now)?;
                signature::check_header(parts, query, dialect, &key, &signature)?;
                let token = header(parts, &format!("{}security-token", dialect.prefix()));
                check_key(&key, token.as_deref(), now)?;
            }
            Proof::Url { dialect } => {
                let name = if dialect == Dialect::Obs { "AccessKeyId" } else { "AWSAccessKeyId" };
                let key = self.key(query.get(name).unwrap_or_default())?;
                signature::check_url(parts, query, dialect, &key, now)?;
                let token = query.get(&format!("{}security-token", dialect.prefix()));
                check_key(&key, token, now)?;
            }
            Proof::VendorV4 => {
                let claim = v4::Claim::parse(&header(parts, "authorization").unwrap_or_default())?;
                let key = self.key(&claim.access_key)?;
                signature::check_date(&parts.headers, Dialect::Aws, now)?;
                claim.check(parts, query, &key)?;
                check_key(&key, header(parts, "x-amz-security-token").as_deref(), now)?;
            }
        }
        parts.headers.remove(http::header::AUTHORIZATION);
        query.strip(&mut parts.uri, &SIGNATURE_PARAMETERS);
        parts.extensions.insert(Verified);
        Ok(())
    }

    fn key(&self, access_key: &str) -> S3Result<AccessKey> {
        self.keys.find(access_key).ok_or_else(unknown_key)
    }
}

/// The answer to a key that is not known.
pub(super) fn unknown_key() -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidAccessKeyId, "The access key Id you provided does not exist in our records.")
}

/// Checks that a key is still good and came with its token.
///
/// # Errors
/// `ExpiredToken` or `InvalidToken`, both 403.
pub(super) fn check_key(key: &AccessKey, token: Option<&str>, now: OffsetDateTime) -> S3Result<()> {
    if key.expires_at.is_some_and(|expires| expires <= now) {
        return Err(super::error::custom("ExpiredToken", StatusCode::FORBIDDEN, "The provided temporary key has expired."));
    }
    let right = match (&key.security_token, token) {
        (None, None) => true,
        (Some(wanted), Some(given)) => wanted.expose().as_bytes().ct_eq(given.as_bytes()).into(),
        _ => false,
    };
    if right {
        return Ok(());
    }
    Err(super::error::custom(
        "InvalidToken",
        StatusCode::FORBIDDEN,
        "The provided security token is missing, or is not the one that belongs to the access key.",
    ))
}

fn proof(parts: &http::request::Parts, query: &Query) -> Proof {
    if let Some(authorization) = header(parts, "authorization") {
        for (scheme, dialect) in [("OBS ", Dialect::Obs), ("AWS ", Dialect::Aws)] {
            if let Some((access_key, signature)) = authorization.strip_prefix(scheme).and_then(|rest| rest.rsplit_once(':')) {
                let (access_key, signature) = (access_key.trim().to_owned(), signature.trim().to_owned());
                return Proof::Header { dialect, access_key, signature };
            }
        }
        if authorization.starts_with(v4::ALGORITHM) && !parts.headers.contains_key("x-amz-date") {
            return Proof::VendorV4;
        }
        return Proof::Other;
    }
    match (query.has("Signature"), query.has("AccessKeyId"), query.has("AWSAccessKeyId")) {
        (true, true, _) => Proof::Url { dialect: Dialect::Obs },
        (true, _, true) => Proof::Url { dialect: Dialect::Aws },
        _ => Proof::Other,
    }
}

/// A header as text, if it is there once and is text.
fn header(parts: &http::request::Parts, name: &str) -> Option<String> {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// How clients find out that OBS signatures are welcome.
fn api_version() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert("x-obs-api", HeaderValue::from_static("3.0"));
    response
}

fn internal() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// As OBS does: what uploads an object or a part says how long it is, also when it is empty.
fn check_length(parts: &http::request::Parts, query: &Query) -> S3Result<()> {
    let said = [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING];
    let copies = ["x-amz-copy-source", "x-obs-copy-source"];
    let names_object = parts.uri.path().trim_start_matches('/').split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let uploads = parts.method == Method::PUT
        && names_object
        && (parts.uri.query().is_none() || query.has("partnumber"))
        && !copies.iter().any(|name| parts.headers.contains_key(*name));
    if uploads && !said.iter().any(|name| parts.headers.contains_key(name)) {
        return Err(S3ErrorCode::MissingContentLength.into());
    }
    Ok(())
}
