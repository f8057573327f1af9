//! What can go wrong between a user's credentials and a signed request.

use crate::auth::report::CredentialReport;
use crate::http;

/// Failures of identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credential source had anything to offer.
    #[error("no credentials are configured")]
    NothingConfigured(CredentialReport),
    /// The identity service refused the credentials.
    #[error("the identity service refused the credentials: {message}")]
    Refused {
        /// What the service said.
        message: String,
        /// Its request id, when it sent one.
        request_id: Option<String>,
    },
    /// The identity service says nothing against the credentials: it does not allow, or does not have, what was asked for.
    #[error("the identity service does not allow this: {message}")]
    NotAllowed {
        /// What the service said.
        message: String,
        /// Its request id, when it sent one.
        request_id: Option<String>,
    },
    /// The identity service knows who asks, and does not let them act under the agency.
    #[error("the agency [{agency}] of account [{domain}] cannot be assumed: {message}")]
    Agency {
        /// Name of the agency.
        agency: String,
        /// The account that made it.
        domain: String,
        /// What the service said.
        message: String,
        /// Its request id, when it sent one.
        request_id: Option<String>,
    },
    /// The identity service answered something else than the documented document.
    #[error("the identity service sent an answer that cannot be read: {0}")]
    Unexpected(String),
    /// No project, or several, belong to the region.
    #[error("{found} projects are named [{region}]; one was expected")]
    Project {
        /// Region whose project was looked up.
        region: String,
        /// How many the service listed.
        found: usize,
    },
    /// A request header or URL that cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsignable(String),
    /// Below: no connection, time-out, TLS.
    #[error(transparent)]
    Http(#[from] http::Error),
}

impl Error {
    /// The same error again, for each who waited for the same answer.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::NothingConfigured(report) => Self::NothingConfigured(report.clone()),
            Self::Refused { message, request_id } => Self::Refused { message: message.clone(), request_id: request_id.clone() },
            Self::NotAllowed { message, request_id } => {
                Self::NotAllowed { message: message.clone(), request_id: request_id.clone() }
            }
            Self::Agency { agency, domain, message, request_id } => Self::Agency {
                agency: agency.clone(),
                domain: domain.clone(),
                message: message.clone(),
                request_id: request_id.clone(),
            },
            Self::Unexpected(message) => Self::Unexpected(message.clone()),
            Self::Project { region, found } => Self::Project { region: region.clone(), found: *found },
            Self::Unsignable(message) => Self::Unsignable(message.clone()),
            Self::Http(error) => Self::Http(error.duplicate()),
        }
    }
}
