//! Who may use the platform: one account with one user and one project, its access keys and tokens.

pub mod account;
pub(crate) mod keys;
mod request;
pub(crate) mod routes;
pub(crate) mod tokens;

use std::sync::Arc;

pub use account::Account;

use super::state::State;

/// The service's built-in agency: what a notebook or a job acts under when it asks for temporary keys by name.
pub const AGENCY: &str = "modelarts_agency";

/// Who sent a request; found in the extensions of every request that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Id of the account.
    pub domain_id: String,
    /// Name of the account.
    pub domain_name: String,
    /// Id of the user.
    pub user_id: String,
    /// Name of the user.
    pub user_name: String,
    /// Id of the project the request may act in; `None` for tokens that are for the account only.
    pub project_id: Option<String>,
}

/// Why a request was not admitted. The texts are shown to the caller; none tells more than the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither a signature nor a token.
    #[error("the request carries neither a signature nor X-Auth-Token")]
    Anonymous,
    /// The credentials cannot be read.
    #[error("{0}")]
    Malformed(&'static str),
    /// No such access key.
    #[error("the access key does not exist")]
    UnknownKey,
    /// The signature is another one.
    #[error("the signature does not match: check the secret key")]
    WrongSignature,
    /// The date is off by more than 15 minutes.
    #[error("the request was signed at a time more than 15 minutes away from this platform's")]
    Skewed,
    /// Temporary keys came without their security token, or with another one.
    #[error("the security token is missing or does not belong to the access key")]
    WrongSecurityToken,
    /// Temporary keys past their end.
    #[error("the temporary access key has expired")]
    ExpiredKey,
    /// No such token, or it has expired.
    #[error("the token is invalid or has expired")]
    WrongToken,
}

/// The account and everything it has issued.
#[derive(Debug)]
pub struct Identity {
    account: Arc<Account>,
    state: Arc<State>,
}

impl Identity {
    /// The account's identity, with issued tokens and keys kept in `state`.
    pub fn new(account: Arc<Account>, state: Arc<State>) -> Self {
        Self { account, state }
    }

    /// The one account.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The account's user, acting in `project_id`.
    pub(crate) fn user(&self, project_id: Option<String>) -> Caller {
        Caller {
            domain_id: self.account.domain_id.clone(),
            domain_name: self.account.domain_name.clone(),
            user_id: self.account.user_id.clone(),
            user_name: self.account.user_name.clone(),
            project_id,
        }
    }
}

/// A time as the identity service writes it, always 27 characters, so that text order is time order.
pub(crate) fn timestamp(time: time::OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (date, clock) = (time.date(), time.time());
    let (hour, minute, second, micro) = clock.as_hms_micro();
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")
}

/// Milliseconds since 1970, as `state` orders documents.
pub(crate) fn milliseconds(time: time::OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
