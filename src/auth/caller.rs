//! Who the identity service says is calling.

use http::{HeaderValue, Method};
use time::OffsetDateTime;

use crate::auth::{Authenticator, Error, identity};
use crate::http::{Client, Request};

/// Whoever the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name of the account.
    pub account: String,
    /// Id of the account.
    pub account_id: String,
    /// Project of requests.
    pub project_id: String,
    /// When the token or the temporary keys end.
    pub expires_at: Option<OffsetDateTime>,
}

/// Asks the identity service at `endpoint` (`GET /v3/auth/domains`), which refuses credentials that are not valid.
///
/// # Errors
/// [`Error::Refused`] for credentials that are not accepted; no connection.
pub async fn ask(client: &Client, endpoint: &str, authenticator: &Authenticator) -> Result<Caller, Error> {
    let project_id = authenticator.project_id().await?;
    let mut request = Request::new(Method::GET, identity::url(endpoint, "/v3/auth/domains")?);
    request.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let document = identity::document(&authenticator.call(client, &request).await?)?;
    // Only now: a token that was refused has been replaced by one with another end.
    let expires_at = match authenticator {
        Authenticator::Keys { credentials, .. } => credentials.credential().await?.expires_at,
        Authenticator::Token(tokens) => Some(tokens.token().await?.expires_at),
    };
    let text = |key: &str| document["domains"][0][key].as_str().unwrap_or_default().to_owned();
    Ok(Caller { account: text("name"), account_id: text("id"), project_id, expires_at })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ask;
    use crate::auth::token::{Login, TokenSource};
    use crate::auth::{Authenticator, Cache, Error, Secret};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options};

    fn token(value: &str, end: &str) -> Script {
        let body = format!(r#"{{"token": {{"expires_at": "{end}", "project": {{"id": "p1"}}}}}}"#);
        Script::new(201, &body).header("X-Subject-Token", value)
    }

    #[tokio::test]
    async fn a_kept_token_that_was_revoked_is_replaced_once() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || Script::new(401, "{}");
        let domains = Script::new(200, r#"{"domains": [{"name": "acme", "id": "d1"}]}"#);
        let server = Server::start(vec![
            token("t1", "2999-01-01T00:00:00Z"),
            refused(),
            token("t2", "2998-01-01T00:00:00Z"),
            domains,
            refused(),
            token("t3", "2999-01-01T00:00:00Z"),
            refused(),
        ]);
        let client = Client::new(Options::default());
        let login = Login {
            endpoint: server.endpoint.clone(),
            account: None,
            username: "jo".to_owned(),
            password: Secret::from("pw"),
            region: "cn-north-4".to_owned(),
            project_id: None,
        };
        let cache = Cache::new(folder.path().to_owned());
        let own = Authenticator::Token(Arc::new(TokenSource::new(client.clone(), login, cache)));
        let caller = ask(&client, &server.endpoint, &own).await.unwrap();
        assert_eq!((caller.account.as_str(), caller.expires_at.unwrap().year()), ("acme", 2998));
        assert!(matches!(ask(&client, &server.endpoint, &own).await, Err(Error::Refused { .. })));
        assert_eq!(server.seen().len(), 7);
    }
}
