//! Temporary access keys for those who log in with a password: OBS takes signatures only.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::auth::cache::Cache;
use crate::auth::token::TokenSource;
use crate::auth::{Credential, CredentialSource, Error, Secret, identity};
use crate::http::{Client, Request};

/// Keys are fetched anew when less than this is left, so that a request signed now can still be retried with its signature.
pub const REFRESH_BEFORE: Duration = Duration::minutes(10);

/// How long keys are asked to live: six hours outlast most copies and end the same day.
pub const LIFETIME: Duration = Duration::hours(6);

/// Trades tokens for temporary keys.
#[derive(Debug)]
pub struct TemporaryKeys {
    client: Client,
    tokens: Arc<TokenSource>,
    cache: Cache,
    key: String,
    current: RwLock<Option<Arc<Credential>>>,
    /// Held while keys are fetched, so that all who need them wait for the same.
    fetching: Mutex<()>,
}

impl TemporaryKeys {
    /// A source that asks nobody until the first key is needed.
    pub fn new(client: Client, tokens: Arc<TokenSource>, cache: Cache) -> Self {
        let login = tokens.login();
        let account = login.account.as_deref().unwrap_or(&login.username);
        let project = login.project_id.as_deref().unwrap_or_default();
        // The password is part of it: what one gave is not for whoever has another.
        let secret = login.password.expose();
        let key = Cache::key("keys", &[&login.endpoint, account, &login.username, secret, &login.region, project]);
        Self { client, tokens, cache, key, current: RwLock::new(None), fetching: Mutex::new(()) }
    }

    fn kept(&self) -> Option<Arc<Credential>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|credential| is_fresh(credential)).map(Arc::clone)
    }

    async fn fetch(&self) -> Result<Credential, Error> {
        let mut tried = false;
        loop {
            let token = self.tokens.token().await?;
            let identity = json!({"methods": ["token"],
                "token": {"id": token.value.expose(), "duration_seconds": LIFETIME.whole_seconds()}});
            let url = identity::url(&self.tokens.login().endpoint, "/v3.0/OS-CREDENTIAL/securitytokens")?;
            let mut request = Request::new(Method::POST, url).json(&json!({"auth": {"identity": identity}}));
            // Keys nobody heard of do no harm, so it may be tried again.
            request.repeatable = true;
            let answer = self.client.call(|| async { Ok::<_, Error>(request.clone()) }).await?;
            if answer.status == http::StatusCode::UNAUTHORIZED && !tried {
                // A token from the cache may have been revoked since.
                self.tokens.invalidate(&token.value);
                tried = true;
                continue;
            }
            let document = identity::document(&answer)?;
            return read(&document).ok_or_else(|| Error::Unexpected("it holds no access key".to_owned()));
        }
    }
}

#[async_trait]
impl CredentialSource for TemporaryKeys {
    async fn credential(&self) -> Result<Arc<Credential>, Error> {
        if let Some(credential) = self.kept() {
            return Ok(credential);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(credential) = self.kept() {
            return Ok(credential);
        }
        let cached = self.cache.read(&self.key).and_then(|document| read(&document)).filter(is_fresh);
        let credential = match cached {
            Some(credential) => credential,
            None => {
                let credential = self.fetch().await?;
                self.cache.write(&self.key, &document(&credential));
                credential
            }
        };
        let credential = Arc::new(credential);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&credential));
        Ok(credential)
    }

    fn invalidate(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.cache.remove(&self.key);
    }
}

fn is_fresh(credential: &Credential) -> bool {
    credential.expires_at.is_none_or(|end| OffsetDateTime::now_utc() + REFRESH_BEFORE < end)
}

/// Services spell the fields in several ways and put them at several places; all are read, as the vendor's SDK does.
fn read(document: &Value) -> Option<Credential> {
    let place = ["credential", "credentials"].iter().find_map(|name| document.get(name)).unwrap_or(document);
    let text = |names: [&str; 3]| names.iter().find_map(|name| place.get(name)?.as_str()).map(str::to_owned);
    let end = text(["expires_at", "expiration", "expiresAt"])?;
    Some(Credential {
        access_key: text(["access", "accessKeyId", "access_key_id"])?,
        secret_key: Secret::from(text(["secret", "secretAccessKey", "secret_access_key"])?),
        security_token: Some(Secret::from(text(["securitytoken", "securityToken", "security_token"])?)),
        expires_at: Some(OffsetDateTime::parse(&end, &Rfc3339).ok()?),
    })
}

fn document(credential: &Credential) -> Value {
    json!({"credential": {
        "access": credential.access_key,
        "secret": credential.secret_key.expose(),
        "securitytoken": credential.security_token.as_ref().map(Secret::expose),
        "expires_at": credential.expires_at.and_then(|end| end.format(&Rfc3339).ok()),
    }})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{TemporaryKeys, read};
    use crate::auth::cache::Cache;
    use crate::auth::token::{Login, TokenSource};
    use crate::auth::{CredentialSource as _, Secret};
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

    fn source(server: &Server, cache: &Cache) -> TemporaryKeys {
        let client = Client::new(Options::default());
        let login = Login {
            endpoint: server.endpoint.clone(),
            account: None,
            username: "jo".to_owned(),
            password: Secret::from("pw"),
            region: "cn-north-4".to_owned(),
            project_id: Some("p1".to_owned()),
        };
        let tokens = Arc::new(TokenSource::new(client.clone(), login, cache.clone()));
        TemporaryKeys::new(client, tokens, cache.clone())
    }

    #[tokio::test]
    async fn keys_are_kept_and_renewed_ten_minutes_before_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let soon = time::OffsetDateTime::now_utc() + time::Duration::minutes(9);
        let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
        let server = Server::start(vec![token("t1"), keys("old", &soon), keys("new", "2999-01-01T00:00:00.000000Z")]);
        let keys = source(&server, &cache);
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

    #[test]
    fn all_spellings_are_read() {
        let end = "2030-01-01T00:00:00Z";
        for document in [
            serde_json::json!({"credential": {"access": "a", "secret": "b", "securitytoken": "c", "expires_at": end}}),
            serde_json::json!({"credentials": {"access_key_id": "a", "secret_access_key": "b", "security_token": "c", "expiration": end}}),
            serde_json::json!({"accessKeyId": "a", "secretAccessKey": "b", "securityToken": "c", "expiration": end}),
        ] {
            let credential = read(&document).unwrap();
            assert_eq!((credential.access_key.as_str(), credential.secret_key.expose()), ("a", "b"));
        }
        assert!(read(&serde_json::json!({"access": "a"})).is_none());
    }
}
