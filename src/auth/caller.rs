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
    let expires_at = match authenticator {
        Authenticator::Keys { credentials, .. } => credentials.credential().await?.expires_at,
        Authenticator::Token(tokens) => Some(tokens.token().await?.expires_at),
    };
    let url = identity::url(endpoint, "/v3/auth/domains")?;
    let prepare = || async {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        authenticator.authorize(&mut request).await?;
        Ok::<_, Error>(request)
    };
    let document = identity::document(&client.call(prepare).await?)?;
    let text = |key: &str| document["domains"][0][key].as_str().unwrap_or_default().to_owned();
    Ok(Caller { account: text("name"), account_id: text("id"), project_id, expires_at })
}
