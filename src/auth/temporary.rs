//! Temporary access keys: for those who log in with a password, since OBS takes signatures only, and for agencies.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use time::Duration;

use crate::auth::cache::Cache;
use crate::auth::refresh::{Fetch, Refreshing, read};
use crate::auth::token::TokenSource;
use crate::auth::{Authenticator, Credential, Error, identity};
use crate::http::{Answer, Client, Request};

/// How long keys are asked to live: six hours outlast most copies and end the same day.
pub const LIFETIME: Duration = Duration::hours(6);

/// How long the keys of an agency are asked to live: what every agency allows.
pub const AGENCY_LIFETIME: Duration = Duration::hours(1);

/// Temporary keys for whoever has a token.
pub type TemporaryKeys = Refreshing<Trade>;

/// Temporary keys of an agency.
pub type AgencyKeys = Refreshing<AssumeRole>;

/// Trades tokens for temporary keys.
#[derive(Debug)]
pub struct Trade {
    client: Client,
    tokens: Arc<TokenSource>,
}

impl TemporaryKeys {
    /// A source that asks nobody until the first key is needed.
    pub fn of_login(client: Client, tokens: Arc<TokenSource>, cache: Cache) -> Self {
        let login = tokens.login();
        let account = login.account.as_deref().unwrap_or(&login.username);
        let project = login.project_id.as_deref().unwrap_or_default();
        // The password is part of it: what one gave is not for whoever has another.
        let secret = login.password.expose();
        let key = Cache::key("keys", &[&login.endpoint, account, &login.username, secret, &login.region, project]);
        Self::new(Trade { client, tokens }, cache, key)
    }
}

#[async_trait]
impl Fetch for Trade {
    async fn fetch(&self) -> Result<Credential, Error> {
        let mut tried = false;
        loop {
            let token = self.tokens.token().await?;
            let identity = json!({"methods": ["token"],
                "token": {"id": token.value.expose(), "duration_seconds": LIFETIME.whole_seconds()}});
            let request = ask(&self.tokens.login().endpoint, &identity)?;
            let answer = self.client.call(|| async { Ok::<_, Error>(request.clone()) }).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !tried {
                // A token from the cache may have been revoked since.
                self.tokens.invalidate(&token.value);
                tried = true;
                continue;
            }
            return granted(&answer);
        }
    }
}

/// Which agency to act under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agency {
    /// Its name.
    pub name: String,
    /// The account that made it.
    pub domain: String,
}

/// Trades a caller's own identity for an agency's.
#[derive(Debug)]
pub struct AssumeRole {
    client: Client,
    endpoint: String,
    own: Authenticator,
    agency: Agency,
}

impl AgencyKeys {
    /// Keys of `agency`, asked for at the identity service at `endpoint` as `own`. They are not kept between runs.
    pub fn of_agency(client: Client, endpoint: String, own: Authenticator, agency: Agency) -> Self {
        Self::new(AssumeRole { client, endpoint, own, agency }, Cache::none(), String::new())
    }
}

#[async_trait]
impl Fetch for AssumeRole {
    async fn fetch(&self) -> Result<Credential, Error> {
        let identity = json!({"methods": ["assume_role"], "assume_role": {
            "agency_name": self.agency.name,
            "domain_name": self.agency.domain,
            "duration_seconds": AGENCY_LIFETIME.whole_seconds(),
        }});
        let request = ask(&self.endpoint, &identity)?;
        let answer = self.own.call(&self.client, &request).await?;
        granted(&answer).map_err(|error| match error {
            // Whoever is not known at all is told so; anybody else may well be who they say.
            Error::Refused { message, request_id } | Error::NotAllowed { message, request_id }
                if answer.status != StatusCode::UNAUTHORIZED =>
            {
                let Agency { name: agency, domain } = self.agency.clone();
                Error::Agency { agency, domain, message, request_id }
            }
            other => other,
        })
    }
}

fn ask(endpoint: &str, identity: &Value) -> Result<Request, Error> {
    let url = identity::url(endpoint, "/v3.0/OS-CREDENTIAL/securitytokens")?;
    let mut request = Request::new(Method::POST, url).json(&json!({"auth": {"identity": identity}}));
    // Keys nobody heard of do no harm, so it may be tried again.
    request.repeatable = true;
    Ok(request)
}

fn granted(answer: &Answer) -> Result<Credential, Error> {
    let document = identity::document(answer)?;
    read(&document).ok_or_else(|| Error::Unexpected("it holds no access key".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Agency, AgencyKeys, TemporaryKeys};
    use crate::auth::cache::Cache;
    use crate::auth::token::{Login, TokenSource};
    use crate::auth::{Authenticator, Credential, CredentialSource as _, Project, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options};

    fn token(value: &str) -> Script {
        let body = r#"{"token": {"expires_at": "2999-01-01T00:00:00Z", "project": {"id": "p1"}}}"#;
        Script::new(201, body).header("X-Subject-Token", value)
    }

    fn keys(access: &str, end: &str) -> Script {
        let credential = format!(r#""access": "{access}", "secret": "s", "securitytoken": "st", "expires_at": "{end}""#);
        Script::new(201, &format!(r#"{{"credential": {{{credential}}}}}"#))
    }

    fn tokens(server: &Server, cache: &Cache) -> Arc<TokenSource> {
        let login = Login {
            endpoint: server.endpoint.clone(),
            account: None,
            username: "jo".to_owned(),
            password: Secret::from("pw"),
            region: "cn-north-4".to_owned(),
            project_id: Some("p1".to_owned()),
        };
        Arc::new(TokenSource::new(Client::new(Options::default()), login, cache.clone()))
    }

    fn source(server: &Server, cache: &Cache) -> TemporaryKeys {
        TemporaryKeys::of_login(Client::new(Options::default()), tokens(server, cache), cache.clone())
    }

    #[tokio::test]
    async fn keys_are_kept_and_renewed_ten_minutes_before_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let soon = time::OffsetDateTime::now_utc() + time::Duration::minutes(9);
        let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
        let server = Server::start(vec![token("t1"), keys("old", &soon), keys("new", "2999-01-01T00:00:00.000000Z")]);
        let keys = source(&server, &cache).resting(std::time::Duration::ZERO);
        assert_eq!(keys.credential().await.unwrap().access_key, "old");
        assert_eq!(keys.credential().await.unwrap().access_key, "new");
        assert_eq!(keys.credential().await.unwrap().access_key, "new");
        assert_eq!(source(&server, &cache).credential().await.unwrap().security_token, Some(Secret::from("st")));
        let seen = server.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen[1].starts_with("POST /v3.0/OS-CREDENTIAL/securitytokens "));
        assert!(
            seen[1].ends_with(r#"{"auth":{"identity":{"methods":["token"],"token":{"id":"t1","duration_seconds":21600}}}}"#)
        );
        assert!(seen[0].contains(r#""scope":{"project":{"id":"p1"}}"#));
    }

    #[tokio::test]
    async fn a_revoked_token_is_replaced_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let end = "2999-01-01T00:00:00Z";
        let server =
            Server::start(vec![token("t1"), Script::new(401, "{}"), token("t2"), keys("ak", end), Script::new(401, "{}")]);
        assert_eq!(source(&server, &cache).credential().await.unwrap().access_key, "ak");
        assert!(server.seen()[3].contains(r#""id":"t2""#));
    }

    #[tokio::test]
    async fn an_agency_is_assumed_with_own_keys() {
        let server = Server::start(vec![keys("agency", "2999-01-01T00:00:00Z"), Script::new(404, r#"{"error_msg": "no"}"#)]);
        let own =
            Credential { access_key: "AK".to_owned(), secret_key: Secret::from("SK"), security_token: None, expires_at: None };
        let own =
            Authenticator::Keys { credentials: Arc::new(StaticCredential::new(own)), project: Project::Known("p1".to_owned()) };
        let agency = Agency { name: "helper".to_owned(), domain: "acme".to_owned() };
        let source =
            || AgencyKeys::of_agency(Client::new(Options::default()), server.endpoint.clone(), own.clone(), agency.clone());
        assert_eq!(source().credential().await.unwrap().access_key, "agency");
        let seen = server.seen();
        assert!(seen[0].to_ascii_lowercase().contains("authorization: sdk-hmac-sha256 access=ak,"), "{}", seen[0]);
        assert!(seen[0].ends_with(concat!(
            r#"{"auth":{"identity":{"methods":["assume_role"],"assume_role":{"agency_name":"helper","domain_name":"acme","#,
            r#""duration_seconds":3600}}}}"#
        )));
        let error = source().credential().await.unwrap_err().to_string();
        assert_eq!(error, "the agency [helper] of account [acme] cannot be assumed: no");
    }

    #[tokio::test]
    async fn an_agency_is_assumed_although_the_kept_token_was_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let refused = || Script::new(401, "{}");
        let server = Server::start(vec![
            token("t1"),
            refused(),
            token("t2"),
            keys("agency", "2999-01-01T00:00:00Z"),
            refused(),
            refused(),
        ]);
        let agency = Agency { name: "helper".to_owned(), domain: "acme".to_owned() };
        let source = || {
            let own = Authenticator::Token(tokens(&server, &cache));
            AgencyKeys::of_agency(Client::new(Options::default()), server.endpoint.clone(), own, agency.clone())
        };
        assert_eq!(source().credential().await.unwrap().access_key, "agency");
        let seen = server.seen();
        assert!(seen[1].contains("x-auth-token: t1\r\n") && seen[3].contains("x-auth-token: t2\r\n"), "{seen:?}");
    }
}
