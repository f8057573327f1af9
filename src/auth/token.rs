//! Passwords for project tokens: one request for many callers, kept until the token ends.

use std::sync::{Arc, PoisonError, RwLock};

use http::Method;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::auth::cache::Cache;
use crate::auth::flight::Flight;
use crate::auth::{Error, Secret, identity};
use crate::http::{Client, Request};

/// A token this close to its end is not used any more: the request still has to travel, and clocks differ.
const MARGIN: Duration = Duration::minutes(5);

/// Who logs in, where.
#[derive(Clone, Debug)]
pub struct Login {
    /// Identity service, such as `https://iam.cn-north-4.myhuaweicloud.com`.
    pub endpoint: String,
    /// Account (domain) the user belongs to; `None` when the user is the account itself.
    pub account: Option<String>,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// Region, which is also the name of its project.
    pub region: String,
    /// Project when it is not the region's own.
    pub project_id: Option<String>,
}

/// A token and what it is good for.
#[derive(Clone, Debug)]
pub struct Token {
    /// Value of `X-Auth-Token`.
    pub value: Secret,
    /// Project it is scoped to.
    pub project_id: String,
    /// Its end.
    pub expires_at: OffsetDateTime,
}

impl Token {
    fn is_fresh(&self) -> bool {
        OffsetDateTime::now_utc() + MARGIN < self.expires_at
    }

    fn from_cache(document: &Value) -> Option<Self> {
        let text = |key: &str| document[key].as_str();
        Some(Self {
            value: Secret::from(text("token")?),
            project_id: text("project_id")?.to_owned(),
            expires_at: OffsetDateTime::parse(text("expires_at")?, &Rfc3339).ok()?,
        })
    }

    fn to_cache(&self) -> Option<Value> {
        let expires_at = self.expires_at.format(&Rfc3339).ok()?;
        Some(json!({"token": self.value.expose(), "project_id": self.project_id, "expires_at": expires_at}))
    }
}

/// Gives a valid token, fetching one when there is none.
#[derive(Debug)]
pub struct TokenSource {
    client: Client,
    login: Login,
    cache: Cache,
    key: String,
    current: RwLock<Option<Arc<Token>>>,
    fetching: Flight,
}

impl TokenSource {
    /// A source that asks nobody until the first token is needed.
    pub fn new(client: Client, login: Login, cache: Cache) -> Self {
        let account = login.account.as_deref().unwrap_or(&login.username);
        let project = login.project_id.as_deref().unwrap_or_default();
        // The password is part of it: what one gave is not for whoever has another.
        let secret = login.password.expose();
        let key = Cache::key("token", &[&login.endpoint, account, &login.username, secret, &login.region, project]);
        Self { client, login, cache, key, current: RwLock::new(None), fetching: Flight::default() }
    }

    /// What the source logs in with.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// A token that is valid now.
    ///
    /// # Errors
    /// [`Error::Refused`] for a wrong password, [`Error::Project`] for a region without project, or no connection.
    pub async fn token(&self) -> Result<Arc<Token>, Error> {
        if let Some(token) = self.kept() {
            return Ok(token);
        }
        let turn = self.fetching.turn().await;
        if let Some(token) = self.kept() {
            return Ok(token);
        }
        let turn = turn?;
        let cached = self.cache.read(&self.key).and_then(|document| Token::from_cache(&document));
        let token = match cached {
            Some(token) if token.is_fresh() => token,
            _ => {
                let token = self.fetch().await.map_err(|error| turn.failed(error))?;
                if let Some(document) = token.to_cache() {
                    self.cache.write(&self.key, &document);
                }
                token
            }
        };
        let token = Arc::new(token);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Forgets `used`, which a service refused; does nothing when another caller has replaced it already.
    pub fn invalidate(&self, used: &Secret) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|token| token.value == *used) {
            *current = None;
            self.cache.remove(&self.key);
        }
    }

    fn kept(&self) -> Option<Arc<Token>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|token| token.is_fresh()).map(Arc::clone)
    }

    async fn fetch(&self) -> Result<Token, Error> {
        let login = &self.login;
        let mut url = identity::url(&login.endpoint, "/v3/auth/tokens")?;
        url.set_query(Some("nocatalog=true"));
        let mut request = Request::new(Method::POST, url).json(&body(login));
        // Logging in changes nothing, so it may be tried again.
        request.repeatable = true;
        let answer = self.client.call(|| async { Ok::<_, Error>(request.clone()) }).await?;
        let document = identity::document(&answer)?;
        let value = answer.header("x-subject-token").ok_or_else(|| Error::Unexpected("it holds no token".to_owned()))?;
        let token = &document["token"];
        let expires_at = token["expires_at"].as_str().unwrap_or_default();
        let project_id = token["project"]["id"].as_str().ok_or(Error::Project { region: login.region.clone(), found: 0 })?;
        Ok(Token {
            value: Secret::from(value),
            project_id: project_id.to_owned(),
            expires_at: OffsetDateTime::parse(expires_at, &Rfc3339)
                .map_err(|_| Error::Unexpected(format!("the token's end [{expires_at}] is no time")))?,
        })
    }
}

fn body(login: &Login) -> Value {
    let account = login.account.as_deref().filter(|name| !name.is_empty()).unwrap_or(&login.username);
    let project = match &login.project_id {
        Some(id) => json!({"id": id}),
        None => json!({"name": login.region}),
    };
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": login.username, "password": login.password.expose(), "domain": {"name": account},
        }}},
        "scope": {"project": project},
    }})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Login, TokenSource};
    use crate::auth::cache::Cache;
    use crate::auth::{Error, Secret};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options};

    fn login(endpoint: &str) -> Login {
        Login {
            endpoint: endpoint.to_owned(),
            account: Some("acme".to_owned()),
            username: "jo".to_owned(),
            password: Secret::from("pw"),
            region: "cn-north-4".to_owned(),
            project_id: None,
        }
    }

    fn source(server: &Server, cache: Cache) -> Arc<TokenSource> {
        Arc::new(TokenSource::new(Client::new(Options::default()), login(&server.endpoint), cache))
    }

    fn granted(token: &str, expires_at: &str) -> Script {
        let body = format!(r#"{{"token": {{"expires_at": "{expires_at}", "project": {{"id": "p1", "name": "cn-north-4"}}}}}}"#);
        Script::new(201, &body).header("X-Subject-Token", token)
    }

    #[tokio::test]
    async fn many_callers_share_one_login_and_a_refused_token_is_replaced() {
        let server =
            Server::start(vec![granted("t1", "2999-01-01T00:00:00.000000Z"), granted("t2", "2999-01-01T00:00:00.000000Z")]);
        let source = source(&server, Cache::none());
        let callers = (0..20).map(|_| {
            tokio::spawn({
                let source = Arc::clone(&source);
                async move { source.token().await }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap().unwrap().value, Secret::from("t1"));
        }
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].starts_with("POST /v3/auth/tokens?nocatalog=true "), "{}", seen[0]);
        assert!(seen[0].ends_with(concat!(
            r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"jo","password":"pw","domain":{"name":"acme"}}}},"#,
            r#""scope":{"project":{"name":"cn-north-4"}}}}"#
        )));
        source.invalidate(&Secret::from("another"));
        source.invalidate(&Secret::from("t1"));
        source.invalidate(&Secret::from("t1"));
        assert_eq!(source.token().await.unwrap().value, Secret::from("t2"));
        assert_eq!(server.seen().len(), 2);
    }

    #[tokio::test]
    async fn the_cache_spares_a_login_until_the_token_ends() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        let server = Server::start(vec![granted("t1", "2999-01-01T00:00:00Z")]);
        source(&server, cache.clone()).token().await.unwrap();
        let again = source(&server, cache.clone()).token().await.unwrap();
        assert_eq!((again.value.expose(), again.project_id.as_str()), ("t1", "p1"));
        assert_eq!(server.seen().len(), 1);

        let soon = time::OffsetDateTime::now_utc() + time::Duration::minutes(1);
        let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
        let server = Server::start(vec![granted("old", &soon), granted("new", "2999-01-01T00:00:00Z")]);
        assert_eq!(source(&server, cache.clone()).token().await.unwrap().value.expose(), "old");
        assert_eq!(source(&server, cache).token().await.unwrap().value.expose(), "new");
    }

    #[tokio::test]
    async fn another_password_finds_nothing_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        let server = Server::start(vec![granted("t1", "2999-01-01T00:00:00Z"), Script::new(401, "{}")]);
        source(&server, cache.clone()).token().await.unwrap();
        let other = Login { password: Secret::from("wrong"), ..login(&server.endpoint) };
        let refused = TokenSource::new(Client::new(Options::default()), other, cache).token().await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
        assert_eq!(server.seen().len(), 2);
    }

    #[tokio::test]
    async fn a_wrong_password_is_refused_with_the_service_s_words() {
        let body = r#"{"error": {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}}"#;
        let server = Server::start(vec![Script::new(401, body).header("X-Request-Id", "r7")]);
        let error = source(&server, Cache::none()).token().await.unwrap_err();
        let Error::Refused { message, request_id } = error else { panic!("{error:?}") };
        assert_eq!((message.as_str(), request_id.as_deref()), ("The username or password is wrong.", Some("r7")));
    }
}
