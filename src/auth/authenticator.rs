//! Puts a caller's identity on a request: a signature, or a token.

use std::sync::Arc;

use http::HeaderValue;
use time::OffsetDateTime;

use crate::auth::project::ProjectLookup;
use crate::auth::token::TokenSource;
use crate::auth::{CredentialSource, Error, sign};
use crate::http::Request;

/// Where the project of requests comes from when keys sign them.
#[derive(Clone, Debug)]
pub enum Project {
    /// It is configured.
    Known(String),
    /// It is the region's, asked for when first needed.
    Lookup(Arc<ProjectLookup>),
}

/// How requests are authenticated; cheap to clone.
#[derive(Clone, Debug)]
pub enum Authenticator {
    /// `SDK-HMAC-SHA256` signatures (AKSK mode, agencies).
    Keys {
        /// Keys to sign with.
        credentials: Arc<dyn CredentialSource>,
        /// Project of the requests.
        project: Project,
    },
    /// `X-Auth-Token` (PWD mode).
    Token(Arc<TokenSource>),
}

impl Authenticator {
    /// The project of requests.
    ///
    /// # Errors
    /// Looking it up or logging in failed.
    pub async fn project_id(&self) -> Result<String, Error> {
        match self {
            Self::Keys { project: Project::Known(id), .. } => Ok(id.clone()),
            Self::Keys { project: Project::Lookup(lookup), .. } => lookup.project_id().await.map(str::to_owned),
            Self::Token(tokens) => Ok(tokens.token().await?.project_id.clone()),
        }
    }

    /// Signs the request, or adds the token. Nothing may change its headers, URL or body afterwards.
    ///
    /// # Errors
    /// No credential can be had, or the request cannot be signed.
    pub async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        match self {
            Self::Keys { credentials, .. } => {
                let credential = credentials.credential().await?;
                sign::sign(request, &credential, OffsetDateTime::now_utc())
            }
            Self::Token(tokens) => {
                let token = tokens.token().await?;
                let mut value = HeaderValue::from_str(token.value.expose())
                    .map_err(|_| Error::Unexpected("the token holds characters that no header takes".to_owned()))?;
                value.set_sensitive(true);
                request.headers.insert("x-auth-token", value);
                Ok(())
            }
        }
    }

    /// Called when the service answered 401 to `request`: forgets what was used. `true` when the next [`Self::authorize`] will use
    /// something else, so that trying again makes sense; permanent keys do not change.
    pub async fn refused(&self, request: &Request) -> bool {
        match self {
            Self::Keys { credentials, .. } => {
                let temporary = credentials.credential().await.is_ok_and(|credential| credential.expires_at.is_some());
                credentials.invalidate();
                temporary
            }
            Self::Token(tokens) => {
                if let Some(used) = request.headers.get("x-auth-token").and_then(|value| value.to_str().ok()) {
                    tokens.invalidate(&used.into());
                }
                true
            }
        }
    }
}
