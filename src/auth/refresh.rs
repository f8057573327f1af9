//! Keys that end: fetched once for many callers, kept until shortly before their end.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::auth::cache::Cache;
use crate::auth::flight::{Flight, Turn};
use crate::auth::{Credential, CredentialSource, Error, Secret};

/// Keys are fetched anew when less than this is left, so that a request signed now can still be retried with its signature.
pub const REFRESH_BEFORE: Duration = Duration::minutes(10);

/// Keys that cannot be renewed are used until this close to their end.
const LAST_USE_BEFORE: Duration = Duration::minutes(1);

/// A source that cannot renew keys, or gives short ones, is left alone for so long; else every request of a copy would ask it.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(30);

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
    state: RwLock<State>,
    fetching: Flight,
    pause: std::time::Duration,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Credential>>,
    /// The source is not asked before, as long as the current keys last.
    rests_until: Option<Instant>,
    /// Access key id that a service refused, and when.
    refused: Option<(String, Instant)>,
}

impl<F: Fetch> Refreshing<F> {
    /// Keeps what `source` gives under `key` between runs. Nobody is asked until the first key is needed.
    pub fn new(source: F, cache: Cache, key: String) -> Self {
        Self { source, cache, key, state: RwLock::default(), fetching: Flight::default(), pause: PAUSE }
    }

    /// The same, with another rest than [`PAUSE`].
    #[cfg(test)]
    pub(super) fn resting(self, pause: std::time::Duration) -> Self {
        Self { pause, ..self }
    }

    /// What is asked.
    pub fn source(&self) -> &F {
        &self.source
    }

    /// The current keys if the source need not be asked, or not yet.
    fn usable(&self) -> Option<Arc<Credential>> {
        let rests = self.state().rests_until.is_some_and(|end| Instant::now() < end);
        self.kept(if rests { LAST_USE_BEFORE } else { REFRESH_BEFORE })
    }

    fn kept(&self, margin: Duration) -> Option<Arc<Credential>> {
        self.state().current.as_ref().filter(|credential| lasts(credential, margin)).map(Arc::clone)
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(&self, turn: &Turn<'_>) -> Result<Arc<Credential>, Error> {
        let cached = self.cache.read(&self.key).and_then(|document| read(&document));
        let credential = match cached.filter(|credential| lasts(credential, REFRESH_BEFORE)) {
            Some(credential) => credential,
            None => match self.source.fetch().await {
                Ok(credential) => {
                    self.cache.write(&self.key, &document(&credential));
                    credential
                }
                Err(error) => {
                    let Some(credential) = self.kept(LAST_USE_BEFORE) else { return Err(turn.failed(error)) };
                    tracing::warn!("keys cannot be renewed, the old ones are used until they end: {error}");
                    self.change().rests_until = Some(Instant::now() + self.pause);
                    return Ok(credential);
                }
            },
        };
        let credential = Arc::new(credential);
        let mut state = self.change();
        state.rests_until = (!lasts(&credential, REFRESH_BEFORE)).then(|| Instant::now() + self.pause);
        state.current = Some(Arc::clone(&credential));
        Ok(credential)
    }
}

#[async_trait]
impl<F: Fetch> CredentialSource for Refreshing<F> {
    async fn credential(&self) -> Result<Arc<Credential>, Error> {
        if let Some(credential) = self.usable() {
            return Ok(credential);
        }
        let turn = match self.fetching.free() {
            Some(turn) => turn,
            None => {
                // Somebody renews them already. That may take long, and requests need not wait while the old ones last.
                if let Some(credential) = self.kept(LAST_USE_BEFORE) {
                    return Ok(credential);
                }
                let turn = self.fetching.turn().await;
                if let Some(credential) = self.usable() {
                    return Ok(credential);
                }
                turn?
            }
        };
        if let Some(credential) = self.usable() {
            return Ok(credential);
        }
        self.renew(&turn).await
    }

    fn invalidate(&self) {
        self.change().current = None;
        self.cache.remove(&self.key);
    }

    fn refused(&self, access_key: &str) -> bool {
        let mut state = self.change();
        // Without current keys others are on their way.
        let Some(current) = state.current.as_ref().filter(|current| current.access_key == access_key) else { return true };
        if current.expires_at.is_none() {
            return false;
        }
        let is_known = |(known, at): &(String, Instant)| known == access_key && at.elapsed() < self.pause;
        if state.refused.as_ref().is_some_and(is_known) {
            // The source was asked since, and gave the same again.
            return false;
        }
        state.refused = Some((access_key.to_owned(), Instant::now()));
        state.current = None;
        self.cache.remove(&self.key);
        true
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration as Moment;

    use async_trait::async_trait;
    use time::{Duration, OffsetDateTime};

    use super::{Fetch, Refreshing, read};
    use crate::auth::{Cache, Credential, CredentialSource as _, Error, Secret};

    /// Gives keys that end after so long, one for each entry (`AK1`, `AK2`, …), and then fails; takes a moment for it.
    #[derive(Debug)]
    struct Giver {
        lives: Vec<Duration>,
        asked: AtomicUsize,
        /// Gives the same key each time.
        stubborn: bool,
    }

    #[async_trait]
    impl Fetch for Giver {
        async fn fetch(&self) -> Result<Credential, Error> {
            let before = self.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Moment::from_millis(20)).await;
            let life = self.lives.get(before).ok_or_else(|| Error::Unexpected("gone".to_owned()))?;
            Ok(Credential {
                access_key: format!("AK{}", if self.stubborn { 1 } else { before + 1 }),
                secret_key: Secret::from("SK"),
                security_token: None,
                expires_at: Some(OffsetDateTime::now_utc() + *life),
            })
        }
    }

    fn giver(lives: &[Duration]) -> Refreshing<Giver> {
        let giver = Giver { lives: lives.to_vec(), asked: AtomicUsize::new(0), stubborn: false };
        Refreshing::new(giver, Cache::none(), String::new())
    }

    fn asked(keys: &Refreshing<Giver>) -> usize {
        keys.source().asked.load(Ordering::SeqCst)
    }

    /// What twenty callers get who come at once.
    async fn twenty(keys: &Refreshing<Giver>) -> Vec<Result<Arc<Credential>, Error>> {
        futures_util::future::join_all((0..20).map(|_| keys.credential())).await
    }

    #[tokio::test]
    async fn many_callers_share_one_fetch_and_its_failure() {
        let keys = giver(&[Duration::hours(1)]);
        assert!(twenty(&keys).await.iter().all(Result::is_ok));
        assert_eq!(asked(&keys), 1);
        let broken = giver(&[]);
        assert!(twenty(&broken).await.iter().all(|got| matches!(got, Err(Error::Unexpected(why)) if why == "gone")));
        assert_eq!(asked(&broken), 1);
        assert!(broken.credential().await.is_err());
        assert_eq!(asked(&broken), 2, "who comes later asks again");
    }

    #[tokio::test]
    async fn keys_that_cannot_be_renewed_are_used_while_they_last_and_the_source_is_left_alone() {
        let keys = giver(&[Duration::minutes(5)]).resting(Moment::ZERO);
        for _ in 0..3 {
            assert_eq!(keys.credential().await.unwrap().access_key, "AK1");
        }
        assert_eq!(asked(&keys), 3, "without a rest each use asks");
        let keys = giver(&[Duration::minutes(5)]);
        for _ in 0..3 {
            assert!(twenty(&keys).await.iter().all(|got| got.as_ref().unwrap().access_key == "AK1"));
        }
        assert_eq!(asked(&keys), 1, "short keys are not asked for with each request");
        keys.change().rests_until = None;
        for _ in 0..3 {
            assert!(twenty(&keys).await.iter().all(Result::is_ok));
        }
        assert_eq!(asked(&keys), 2, "after a failure neither");
        let ended = giver(&[Duration::seconds(30)]);
        ended.credential().await.unwrap();
        assert!(ended.credential().await.is_err());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_renewal_while_the_old_keys_last() {
        let keys = Arc::new(giver(&[Duration::minutes(5), Duration::hours(1)]).resting(Moment::ZERO));
        keys.credential().await.unwrap();
        let renewing = tokio::spawn({
            let keys = Arc::clone(&keys);
            async move { keys.credential().await.unwrap().access_key.clone() }
        });
        while asked(&keys) < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(keys.credential().await.unwrap().access_key, "AK1");
        assert!(!renewing.is_finished());
        assert_eq!(renewing.await.unwrap(), "AK2");
        assert_eq!(keys.credential().await.unwrap().access_key, "AK2");
    }

    #[tokio::test]
    async fn many_refusals_at_once_replace_keys_once() {
        let keys = giver(&[Duration::hours(1); 9]);
        keys.credential().await.unwrap();
        for _ in 0..20 {
            assert!(keys.refused("AK1"));
        }
        assert!(twenty(&keys).await.iter().all(|got| got.as_ref().unwrap().access_key == "AK2"));
        assert!(keys.refused("AK1"), "a late one finds others there");
        assert_eq!(keys.credential().await.unwrap().access_key, "AK2");
        assert_eq!(asked(&keys), 2);

        let stubborn = Giver { lives: vec![Duration::hours(1); 9], asked: AtomicUsize::new(0), stubborn: true };
        let keys = Refreshing::new(stubborn, Cache::none(), String::new());
        keys.credential().await.unwrap();
        assert!(keys.refused("AK1"));
        keys.credential().await.unwrap();
        assert!(!keys.refused("AK1"), "the source gives no others");
        assert_eq!(asked(&keys), 2);
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
