//! What can go wrong between a request to the object store and its answer.

use std::time::Duration;

use time::OffsetDateTime;

use crate::http::retry::{Class, classify_error, classify_status};
use crate::obs::ObsUrl;
use crate::{auth, http};

/// A refusal or failure that the store itself reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceError {
    /// What was asked, such as `put` or `list`.
    pub operation: &'static str,
    /// Bucket, or bucket and key, as an `obs://` address.
    pub target: String,
    /// HTTP status.
    pub status: u16,
    /// Error code of the store, such as `NoSuchKey`; empty when it sent none (answers to HEAD have no body).
    pub code: String,
    /// The store's own words; may be empty.
    pub message: String,
    /// Request id, for support cases.
    pub request_id: Option<String>,
    /// Value of `Retry-After`.
    pub retry_after: Option<String>,
    /// The store's clock when it answered.
    pub date: Option<OffsetDateTime>,
    /// Region or endpoint where the bucket is, when the store said that it is not here.
    pub home: Option<String>,
}

/// Failures of the object store's client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store answered with an error.
    #[error("{}", describe(.0, true))]
    Service(Box<ServiceError>),
    /// No answer: connection, TLS, time-out.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// No credential to sign with.
    #[error(transparent)]
    Auth(#[from] auth::Error),
    /// A text that is not an `obs://` address, or an endpoint that cannot be used.
    #[error("{0}")]
    Url(String),
    /// An answer that cannot be right: cut short, wrong range, no ETag. Asking again may help.
    #[error("{operation} [{target}]: {message}")]
    Answer {
        /// What was asked.
        operation: &'static str,
        /// The `obs://` address.
        target: String,
        /// What is wrong with the answer.
        message: String,
    },
    /// Bytes changed on the way, found by a digest. Sending again may help.
    #[error("{operation} [{target}]: the data does not match its {digest}: {expected} was expected, {found} was found")]
    Digest {
        /// What was asked.
        operation: &'static str,
        /// The `obs://` address.
        target: String,
        /// Name of the digest.
        digest: &'static str,
        /// What was computed while the bytes streamed.
        expected: String,
        /// What the other side says.
        found: String,
    },
    /// What should have been sent could not be read.
    #[error("{0}")]
    Source(String),
    /// Tried again as often as the policy allows.
    #[error("{source} (after {attempts} attempts in {:.1} s)", .elapsed.as_secs_f64())]
    Exhausted {
        /// The last failure.
        source: Box<Self>,
        /// Attempts made.
        attempts: u32,
        /// Time since the first attempt began.
        elapsed: Duration,
    },
}

/// What happened; whoever shows the code elsewhere leaves it out here.
fn describe(error: &ServiceError, with_code: bool) -> String {
    let ServiceError { operation, target, status, code, message, .. } = error;
    if *status == 404 && ["", "NotFound", "NoSuchKey", "NoSuchBucket", "NoSuchVersion"].contains(&code.as_str()) {
        let bucket = target.strip_prefix(ObsUrl::SCHEME).and_then(|address| address.split('/').next());
        return match bucket.filter(|_| code == "NoSuchBucket") {
            Some(bucket) => format!("there is no bucket [{bucket}]"),
            None => format!("[{target}] does not exist"),
        };
    }
    // Below 300: the body of an answer that began well says that it failed after all.
    let outcome = if (300..500).contains(status) { "was refused" } else { "failed" };
    let code = if with_code && !code.is_empty() { code } else { reason(*status) };
    let home = error.home.as_ref().map(|home| format!(" (the bucket is in [{home}])")).unwrap_or_default();
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    format!("{operation} [{target}] {outcome}: {status} {code}{message}{home}")
}

fn reason(status: u16) -> &'static str {
    ::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("unknown status")
}

/// Codes that say the caller is not known: trying other keys with the same credential is pointless.
const IDENTITY_CODES: [&str; 12] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "NotSignedUp",
    "ExpiredToken",
    "InvalidToken",
    "InvalidSecurityToken",
    "TokenRefreshRequired",
    "Unauthorized",
    "AuthorizationHeaderMalformed",
    "RequestTimeTooSkewed",
    "TooManyWrongSignature",
    "AllAccessDisabled",
];

impl Error {
    /// What happened, without the code of [`Self::code`].
    pub fn words(&self) -> String {
        match self {
            Self::Service(service) => describe(service, false),
            Self::Exhausted { source, attempts, elapsed } => {
                format!("{} (after {attempts} attempts in {:.1} s)", source.words(), elapsed.as_secs_f64())
            }
            other => other.to_string(),
        }
    }

    /// The store's own report, if it is one.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(service) => Some(service),
            Self::Exhausted { source, .. } => source.service(),
            _ => None,
        }
    }

    /// HTTP status of the store's answer.
    pub fn status(&self) -> Option<u16> {
        self.service().map(|service| service.status)
    }

    /// Error code of the store, such as `NoSuchKey`.
    pub fn code(&self) -> Option<&str> {
        self.service().map(|service| service.code.as_str()).filter(|code| !code.is_empty())
    }

    /// The store's request id.
    pub fn request_id(&self) -> Option<&str> {
        self.service().and_then(|service| service.request_id.as_deref())
    }

    /// The bucket, key or upload does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The bucket itself does not exist.
    pub fn is_no_such_bucket(&self) -> bool {
        self.code() == Some("NoSuchBucket")
    }

    /// The bucket is in another region: the store sends elsewhere, where nobody of ours goes with a signature for here.
    pub fn is_elsewhere(&self) -> bool {
        let redirects = matches!(self.status(), Some(301 | 302 | 307 | 308));
        // The answer to a HEAD has no code, but may name the region.
        let silent = self.service().is_some_and(|error| error.status == 400 && error.code.is_empty() && error.home.is_some());
        redirects
            || silent
            || self.code().is_some_and(|code| matches!(code, "AuthorizationHeaderMalformed" | "PermanentRedirect"))
    }

    /// A condition (`If-Match`) did not hold: the object changed.
    pub fn is_changed(&self) -> bool {
        self.status() == Some(412)
    }

    /// The caller is not known, its key is wrong, or there is no credential at all.
    pub fn is_unauthenticated(&self) -> bool {
        match self {
            Self::Auth(auth::Error::Http(_)) => false,
            Self::Auth(_) => true,
            Self::Exhausted { source, .. } => source.is_unauthenticated(),
            _ => self.status() == Some(401) || self.code().is_some_and(|code| IDENTITY_CODES.contains(&code)),
        }
    }

    /// The store will not do it for this caller: unknown, or known and not allowed.
    pub fn is_refusal(&self) -> bool {
        self.is_unauthenticated() || matches!(self.status(), Some(401 | 403))
    }

    /// Temporary keys have ended.
    pub fn is_expired(&self) -> bool {
        self.code().is_some_and(|code| {
            matches!(code, "ExpiredToken" | "InvalidToken" | "InvalidSecurityToken" | "TokenRefreshRequired")
        })
    }

    /// No usable connection to the store.
    pub fn is_network(&self) -> bool {
        match self {
            Self::Http(_) | Self::Auth(auth::Error::Http(_)) => true,
            Self::Exhausted { source, .. } => source.is_network(),
            _ => false,
        }
    }

    /// Whether trying the same request again may help.
    pub fn class(&self) -> Class {
        match self {
            // The body of an answer that begins with 200 may still say that it failed; then only the code tells.
            Self::Service(service) if service.status < 300 => {
                let busy = ["InternalError", "SlowDown", "ServiceUnavailable", "OperationAborted", ""];
                if busy.contains(&service.code.as_str()) { Class::Transient { after: None } } else { Class::Fatal }
            }
            // Found by the store: the bytes changed on the way up, fewer arrived than were announced, or another request, maybe an
            // earlier attempt of this one, is still at work on the same.
            Self::Service(service)
                if matches!(service.code.as_str(), "BadDigest" | "IncompleteBody" | "RequestTimeout" | "OperationAborted") =>
            {
                Class::Transient { after: None }
            }
            Self::Service(service) => {
                classify_status(service.status, service.retry_after.as_deref(), OffsetDateTime::now_utc())
            }
            Self::Http(error) | Self::Auth(auth::Error::Http(error)) => classify_error(error),
            Self::Answer { .. } | Self::Digest { .. } => Class::Transient { after: None },
            Self::Auth(_) | Self::Url(_) | Self::Source(_) | Self::Exhausted { .. } => Class::Fatal,
        }
    }
}

/// Errors that may hold a failure of the store, so that [`crate::obs::Client::retrying`] can judge them.
pub trait Failure {
    /// The store's failure, if that is what it is; anything else is never retried.
    fn as_obs(&self) -> Option<&Error>;

    /// Says how often it was tried.
    #[must_use]
    fn exhausted(self, attempts: u32, elapsed: Duration) -> Self;
}

impl Failure for Error {
    fn as_obs(&self) -> Option<&Error> {
        Some(self)
    }

    fn exhausted(self, attempts: u32, elapsed: Duration) -> Self {
        Self::Exhausted { source: Box::new(self), attempts, elapsed }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Error, ServiceError};
    use crate::http::retry::Class;

    fn service(status: u16, code: &str) -> Error {
        Error::Service(Box::new(ServiceError {
            operation: "get",
            target: "obs://b/k".into(),
            status,
            code: code.into(),
            ..ServiceError::default()
        }))
    }

    #[test]
    fn tells_kinds_apart() {
        assert!(service(404, "NoSuchKey").is_not_found());
        assert!(!service(404, "NoSuchKey").is_no_such_bucket());
        assert!(service(404, "NoSuchBucket").is_no_such_bucket());
        assert!(service(403, "AccessDenied").is_refusal());
        assert!(!service(403, "AccessDenied").is_unauthenticated());
        assert!(service(403, "SignatureDoesNotMatch").is_unauthenticated());
        assert!(service(401, "").is_unauthenticated());
        assert!(service(412, "PreconditionFailed").is_changed());
        assert!(service(400, "ExpiredToken").is_expired());
        assert!(service(301, "").is_elsewhere() && service(400, "AuthorizationHeaderMalformed").is_elsewhere());
        assert!(!service(304, "").is_elsewhere() && !service(403, "AccessDenied").is_elsewhere());
    }

    #[test]
    fn retries_only_what_may_pass() {
        let transient = Class::Transient { after: None };
        let table = [
            (503, "SlowDown", transient),
            (200, "InternalError", transient),
            (200, "AccessDenied", Class::Fatal),
            (400, "BadDigest", transient),
            (400, "InvalidArgument", Class::Fatal),
            (403, "SignatureDoesNotMatch", Class::Fatal),
            (404, "NoSuchKey", Class::Fatal),
        ];
        for (status, code, expected) in table {
            assert_eq!(service(status, code).class(), expected, "{status} {code}");
        }
    }

    #[test]
    fn says_what_failed_and_how_often() {
        let tried = |source| Error::Exhausted { source: Box::new(source), attempts: 4, elapsed: Duration::from_millis(12_340) };
        let error = tried(service(503, "SlowDown"));
        assert_eq!(error.to_string(), "get [obs://b/k] failed: 503 SlowDown (after 4 attempts in 12.3 s)");
        assert_eq!(error.words(), "get [obs://b/k] failed: 503 Service Unavailable (after 4 attempts in 12.3 s)");
        assert!(tried(service(404, "")).is_not_found());
    }

    #[test]
    fn what_is_not_there_was_not_refused() {
        for (status, code, expected) in [
            (404, "", "[obs://b/k] does not exist"),
            (404, "NoSuchKey", "[obs://b/k] does not exist"),
            (404, "NoSuchBucket", "there is no bucket [b]"),
            (404, "NoSuchUpload", "get [obs://b/k] was refused: 404 Not Found"),
            (403, "AccessDenied", "get [obs://b/k] was refused: 403 Forbidden"),
        ] {
            assert_eq!(service(status, code).words(), expected, "{status} {code}");
        }
    }
}
