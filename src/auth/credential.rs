//! Access keys, permanent or temporary, and where they come from.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::auth::error::Error;
use crate::auth::secret::Secret;

/// Environment variables that give credentials, or a place where they are to be had. What this tool runs is started without them.
pub const VARIABLES: [&str; 8] = [
    "HUAWEICLOUD_SDK_AK",
    "HUAWEICLOUD_SDK_SK",
    "HUAWEICLOUD_SDK_SECURITY_TOKEN",
    "OBS_ACCESS_KEY_ID",
    "OBS_SECRET_ACCESS_KEY",
    "OBS_SECURITY_TOKEN",
    "HC_CONTAINER_CREDENTIALS_FULL_URI",
    "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// An access key with its secret; temporary ones carry a security token and an end.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Access key id (AK); not secret, but masked in traces.
    pub access_key: String,
    /// Secret key (SK).
    pub secret_key: Secret,
    /// Security token of temporary keys; sent along with every signed request.
    pub security_token: Option<Secret>,
    /// When temporary keys end; `None` for permanent ones.
    pub expires_at: Option<OffsetDateTime>,
}

/// Gives the access key to sign with, fetching or refreshing it when needed.
#[async_trait]
pub trait CredentialSource: fmt::Debug + Send + Sync {
    /// A credential that is valid now.
    ///
    /// # Errors
    /// Whatever stands between the source and a credential: nothing configured, refused, no network.
    async fn credential(&self) -> Result<Arc<Credential>, Error>;

    /// Forgets a cached credential, because a service called it expired; the next call fetches anew.
    fn invalidate(&self) {}

    /// Forgets the credential with this access key id, which a service refused; keeps another that a caller has fetched meanwhile.
    /// `true` when the next call gives something else, so that trying again makes sense; permanent keys do not change.
    fn refused(&self, _access_key: &str) -> bool {
        false
    }
}

/// A credential that is simply there: flags, environment or profile.
#[derive(Clone, Debug)]
pub struct StaticCredential(Arc<Credential>);

impl StaticCredential {
    /// Wraps keys that need no fetching.
    pub fn new(credential: Credential) -> Self {
        Self(Arc::new(credential))
    }
}

#[async_trait]
impl CredentialSource for StaticCredential {
    async fn credential(&self) -> Result<Arc<Credential>, Error> {
        Ok(Arc::clone(&self.0))
    }
}
