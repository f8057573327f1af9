//! Where the object store finds access keys; the identity part of the platform implements it.

use std::fmt::Debug;

use time::OffsetDateTime;

use crate::auth::Secret;

/// Finds secret keys by access key.
pub trait KeyRing: Send + Sync + Debug {
    /// The key that belongs to `access_key`, expired or not, or nothing when it is unknown. Called for each request: be quick.
    fn find(&self, access_key: &str) -> Option<AccessKey>;
}

/// What belongs to an access key.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// Signs requests.
    pub secret_key: Secret,
    /// For temporary keys: must come with each request.
    pub security_token: Option<Secret>,
    /// For temporary keys: refused from then on.
    pub expires_at: Option<OffsetDateTime>,
}
