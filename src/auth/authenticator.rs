//! Puts a caller's identity on a request: a signature, or a token.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use time::OffsetDateTime;

use crate::auth::project::ProjectLookup;
use crate::auth::token::TokenSource;
use crate::auth::{CredentialSource, Error, sign};
use crate::http::{Answer, Client, Request};

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
    pub fn refused(&self, request: &Request) -> bool {
        match self {
            Self::Keys { credentials, .. } => sign::access_key(request).is_some_and(|used| credentials.refused(used)),
            Self::Token(tokens) => {
                if let Some(used) = request.headers.get("x-auth-token").and_then(|value| value.to_str().ok()) {
                    tokens.invalidate(&used.into());
                }
                true
            }
        }
    }

    /// Sends the request under this identity; after a 401 once more when there is another to send it with.
    ///
    /// # Errors
    /// As [`Self::authorize`]; there was no answer.
    pub(in crate::auth) async fn call(&self, client: &Client, request: &Request) -> Result<Answer, Error> {
        let prepare = || async {
            let mut request = request.clone();
            self.authorize(&mut request).await?;
            Ok::<_, Error>(request)
        };
        let (answer, sent) = client.call_and_tell(prepare).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.refused(&sent) {
            return Ok(answer);
        }
        client.call(prepare).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;
    use serde_json::json;

    use super::{Authenticator, Project};
    use crate::auth::refresh::Refreshing;
    use crate::auth::temporary::{Agency, AgencyKeys};
    use crate::auth::{Credential, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options, Request};

    #[tokio::test]
    async fn many_refusals_at_once_fetch_keys_once() {
        let keys = |access: &str| {
            let end = "2999-01-01T00:00:00Z";
            let credential = json!({"access": access, "secret": "s", "securitytoken": "st", "expires_at": end});
            Script::new(201, &json!({"credential": credential}).to_string())
        };
        let server = Server::start(vec![keys("OLD"), keys("NEW"), keys("TOO MANY")]);
        let client = Client::new(Options::default());
        let own =
            Credential { access_key: "AK".to_owned(), secret_key: Secret::from("SK"), security_token: None, expires_at: None };
        let own =
            Authenticator::Keys { credentials: Arc::new(StaticCredential::new(own)), project: Project::Known("p1".to_owned()) };
        let request = || Request::new(Method::GET, "http://127.0.0.1/v2".parse().unwrap());
        let mut signed = request();
        own.authorize(&mut signed).await.unwrap();
        assert!(!own.refused(&signed), "permanent keys stay what they are");

        let agency = Agency { name: "helper".to_owned(), domain: "acme".to_owned() };
        let credentials: Arc<Refreshing<_>> = Arc::new(AgencyKeys::of_agency(client, server.endpoint.clone(), own, agency));
        let agency = Authenticator::Keys { credentials, project: Project::Known("p1".to_owned()) };
        let mut refused = Vec::new();
        for _ in 0..20 {
            let mut signed = request();
            agency.authorize(&mut signed).await.unwrap();
            refused.push(signed);
        }
        for signed in refused {
            assert!(agency.refused(&signed));
            let mut again = request();
            agency.authorize(&mut again).await.unwrap();
            assert!(again.headers["authorization"].to_str().unwrap().contains("Access=NEW,"));
        }
        assert_eq!(server.seen().len(), 2);
    }
}
