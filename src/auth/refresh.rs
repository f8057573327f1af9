//! Keys that end: fetched once for many callers, kept until shortly before their end.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::auth::cache::Cache;
use crate::auth::{Credential, CredentialSource, Error, Secret};

/// Keys are fetched anew when less than this is left, so that a request signed now can still be retried with its signature.
pub const REFRESH_BEFORE: Duration = Duration::minutes(10);

/// Keys that cannot be renewed are used until this close to their end.
const LAST_USE_BEFORE: Duration = Duration::minutes(1);

/// Gets keys from wherever they are given out.
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Asks for keys.
    ///
    /// # Errors
    /// Whatever stands between the source and a credential.
    async fn fetch(&self) -> Result<Credential, Error>;
}

/// Asks a [`Fetch`] when keys are needed, never twice at a time.
#[derive(Debug)]
pub struct Refreshing<F> {
    source: F,
    cache: Cache,
    key: String,
    current: RwLock<Option<Arc<Credential>>>,
    /// Held while keys are fetched, so that all who need them wait for the same.
    fetching: Mutex<()>,
}

impl<F: Fetch> Refreshing<F> {
    /// Keeps what `source` gives under `key` between runs. Nobody is asked until the first key is needed.
    pub fn new(source: F, cache: Cache, key: String) -> Self {
        Self { source, cache, key, current: RwLock::new(None), fetching: Mutex::new(()) }
    }

    /// What is asked.
    pub fn source(&self) -> &F {
        &self.source
    }

    fn kept(&self, margin: Duration) -> Option<Arc<Credential>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|credential| lasts(credential, margin)).map(Arc::clone)
    }
}

#[async_trait]
impl<F: Fetch> CredentialSource for Refreshing<F> {
    async fn credential(&self) -> Result<Arc<Credential>, Error> {
        if let Some(credential) = self.kept(REFRESH_BEFORE) {
            return Ok(credential);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(credential) = self.kept(REFRESH_BEFORE) {
            return Ok(credential);
        }
        let cached = self.cache.read(&self.key).and_then(|document| read(&document));
        let credential = match cached.filter(|credential| lasts(credential, REFRESH_BEFORE)) {
            Some(credential) => credential,
            None => match self.source.fetch().await {
                Ok(credential) => {
                    self.cache.write(&self.key, &document(&credential));
                    credential
                }
                Err(error) => {
                    let Some(credential) = self.kept(LAST_USE_BEFORE) else { return Err(error) };
                    tracing::warn!("keys cannot be renewed, the old ones are used until they end: {error}");
                    return Ok(credential);
                }
            },
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

fn lasts(credential: &Credential, margin: Duration) -> bool {
    credential.expires_at.is_none_or(|end| OffsetDateTime::now_utc() + margin < end)
}

/// Services spell the fields in several ways and put them at several places; all are read, as the vendor's SDK does.
pub(super) fn read(document: &Value) -> Option<Credential> {
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
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use time::{Duration, OffsetDateTime};

    use super::{Fetch, Refreshing, read};
    use crate::auth::{Cache, Credential, CredentialSource as _, Error, Secret};

    /// Keys that end so long after they are fetched; after the first, an error.
    #[derive(Debug)]
    struct Once(Duration, AtomicU32);

    #[async_trait]
    impl Fetch for Once {
        async fn fetch(&self) -> Result<Credential, Error> {
            let before = self.1.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if before > 0 {
                return Err(Error::Unexpected("gone".to_owned()));
            }
            let (access_key, secret_key) = ("AK".to_owned(), Secret::from("SK"));
            Ok(Credential {
                access_key,
                secret_key,
                security_token: None,
                expires_at: Some(OffsetDateTime::now_utc() + self.0),
            })
        }
    }

    fn once(life: Duration) -> Arc<Refreshing<Once>> {
        Arc::new(Refreshing::new(Once(life, AtomicU32::new(0)), Cache::none(), String::new()))
    }

    #[tokio::test]
    async fn many_callers_share_one_fetch() {
        let keys = once(Duration::hours(1));
        let callers: Vec<_> = (0..20)
            .map(|_| {
                tokio::spawn({
                    let keys = Arc::clone(&keys);
                    async move { keys.credential().await.is_ok() }
                })
            })
            .collect();
        for caller in callers {
            assert!(caller.await.unwrap());
        }
        assert_eq!(keys.source().1.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn keys_that_cannot_be_renewed_are_used_while_they_last() {
        let keys = once(Duration::minutes(5));
        for _ in 0..3 {
            assert_eq!(keys.credential().await.unwrap().access_key, "AK");
        }
        assert_eq!(keys.source().1.load(Ordering::SeqCst), 3, "each use tries to renew them");
        let ended = once(Duration::seconds(30));
        ended.credential().await.unwrap();
        assert!(ended.credential().await.is_err());
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
