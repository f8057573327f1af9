//! The client itself: what both halves share, and the retry loop around every request.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use time::OffsetDateTime;

use crate::auth::{Credential, CredentialSource};
use crate::http;
use crate::http::call::POLICY;
use crate::http::retry::{Class, Policy, Schedule};
use crate::obs::address::Address;
use crate::obs::attributes::Attributes;
use crate::obs::error::{Error, Failure, ServiceError};
use crate::obs::sdk::{self, Clock, Parts};
use crate::obs::sign::Signer;
use crate::obs::transport::Transport;
use crate::obs::wire::Wire;

/// Without any byte moving for this long a request counts as stalled and is tried again.
pub const STALL: Duration = Duration::from_secs(30);

/// So long the store may be silent while it does the work itself: joining the parts of an upload, copying. It answers when all is done,
/// and joining 8 GiB took more than [`STALL`] on a slow disk.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A refusal without a code is laid to the clock when it differs from the store's by more than this; stores allow 15 minutes.
const MOST_SKEW: time::Duration = time::Duration::minutes(5);

/// How an object store is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// `https://obs.REGION.myhuaweicloud.com`, or any S3-compatible endpoint.
    pub endpoint: String,
    /// Region to sign for; most stores other than the cloud take any.
    pub region: String,
    /// TLS, proxy, connect time-out.
    pub http: http::Options,
    /// Where access keys come from.
    pub credentials: Arc<dyn CredentialSource>,
    /// How often a request is tried.
    pub retry: Policy,
    /// How often a connection is tried to a store that has not answered yet.
    pub first_attempts: u32,
    /// Time without progress after which a request is given up and tried again; [`STALL`] unless there is a reason.
    pub stall: Duration,
    /// The same for requests that the store answers after work of its own; [`PATIENCE`] unless there is a reason.
    pub patience: Duration,
}

impl Options {
    /// Options with the usual retries and time limits.
    pub fn new(endpoint: impl Into<String>, region: impl Into<String>, credentials: Arc<dyn CredentialSource>) -> Self {
        Self {
            endpoint: endpoint.into(),
            region: region.into(),
            http: http::Options::default(),
            credentials,
            retry: Policy::default(),
            first_attempts: POLICY.attempts,
            stall: STALL,
            patience: PATIENCE,
        }
    }
}

/// A client of one object store. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    /// What new objects are given.
    pub(crate) attributes: Arc<Attributes>,
}

pub(crate) struct Inner {
    pub(crate) address: Address,
    pub(crate) region: String,
    pub(crate) transport: Transport,
    pub(crate) wire: Wire,
    pub(crate) signer: Signer,
    pub(crate) clock: Arc<Clock>,
    pub(crate) sdk: aws_sdk_s3::Client,
    credentials: Arc<dyn CredentialSource>,
    retry: Policy,
    first_attempts: u32,
    // How often clock or keys were put right: what was signed before that deserves another attempt.
    repairs: AtomicU64,
    // Answers of 503 and 429.
    throttled: AtomicU64,
    // The store has answered something in this run.
    answered: AtomicBool,
}

/// What was put right for one request; each helps once or not at all.
#[derive(Default)]
struct Tried {
    elsewhere: bool,
    clock: bool,
    keys: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; no request is sent yet.
    ///
    /// # Errors
    /// [`Error::Url`] for an endpoint that cannot be used, [`Error::Http`] for HTTP options that cannot.
    pub fn new(options: Options) -> Result<Self, Error> {
        let address = Address::parse(&options.endpoint)?;
        let transport = Transport::new(&options.http, options.stall, options.patience.max(options.stall))?;
        let wire = Wire::new(&options.http, address.is_https(), options.stall)?;
        let clock = Arc::new(Clock::default());
        let sdk = sdk::client(Parts {
            address: &address,
            region: &options.region,
            transport: transport.clone(),
            credentials: Arc::clone(&options.credentials),
            clock: Arc::clone(&clock),
        });
        let inner = Inner {
            address,
            signer: Signer::new(options.region.clone()),
            region: options.region,
            transport,
            wire,
            clock,
            sdk,
            credentials: options.credentials,
            retry: options.retry,
            first_attempts: options.first_attempts,
            repairs: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            answered: AtomicBool::new(false),
        };
        Ok(Self { inner: Arc::new(inner), attributes: Arc::default() })
    }

    /// How often the store asked for less so far (503, 429).
    pub fn throttled(&self) -> u64 {
        self.inner.throttled.load(Ordering::Relaxed)
    }

    /// `scheme://host[:port]` of the store.
    pub fn endpoint(&self) -> String {
        self.inner.address.base()
    }

    /// The credential to sign with now.
    pub(crate) async fn credential(&self) -> Result<Arc<Credential>, Error> {
        Ok(self.inner.credentials.credential().await?)
    }

    /// Runs a request until it succeeds, fails for good, or the policy's budget is spent. The closure gets the number of the
    /// attempt, 1 first. A clock that is wrong and temporary keys that the store rejects are put right once, without waiting.
    ///
    /// # Errors
    /// The last failure, wrapped with the number of attempts when there was more than one.
    pub async fn retrying<T, E, F, R>(&self, mut request: F) -> Result<T, E>
    where
        E: Failure,
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, E>>,
    {
        let mut schedule = Schedule::start(self.inner.retry).charging_at_most(self.inner.transport.stall());
        let mut tried = Tried::default();
        loop {
            let repairs = self.inner.repairs.load(Ordering::SeqCst);
            let error = match request(schedule.attempts()).await {
                Ok(value) => {
                    self.has_answered();
                    return Ok(value);
                }
                Err(error) => error,
            };
            let Some(failure) = error.as_obs() else { return Err(error) };
            if failure.service().is_some() {
                self.has_answered();
            }
            if failure.service().is_some_and(|service| matches!(service.status, 429 | 503)) {
                self.inner.throttled.fetch_add(1, Ordering::Relaxed);
            }
            // Boxed, as it is rare: every request would carry its state.
            if Box::pin(self.put_right(failure, repairs, &mut tried)).await {
                continue;
            }
            let Some(wait) = schedule.next_wait(self.class(failure, schedule.attempts())) else {
                let tried = schedule.attempts();
                return Err(if tried > 1 { error.exhausted(tried, schedule.elapsed()) } else { error });
            };
            tracing::debug!(error = %failure, attempt = schedule.attempts(), ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    fn has_answered(&self) {
        // Asked first: a store that all threads make would slow each of them down.
        if !self.inner.answered.load(Ordering::Relaxed) {
            self.inner.answered.store(true, Ordering::Relaxed);
        }
    }

    /// Nothing is on its way up on this machine: a refused connection is final. Elsewhere, as long as nobody has answered, a name or
    /// a proxy that is wrong is likelier than a fault that passes; in the middle of a copy it is the other way round.
    fn class(&self, failure: &Error, attempts: u32) -> Class {
        let Error::Http(error) = failure else { return failure.class() };
        let answered = self.inner.answered.load(Ordering::Relaxed);
        match error {
            http::Error::Connect { .. } if self.inner.address.is_loopback() => Class::Fatal,
            http::Error::Connect { .. } | http::Error::Proxy { .. } if !answered && attempts >= self.inner.first_attempts => {
                Class::Fatal
            }
            _ => failure.class(),
        }
    }

    /// Whether a refusal has a cause that is gone now; `repairs` is what their number was when the request was signed.
    async fn put_right(&self, failure: &Error, repairs: u64, tried: &mut Tried) -> bool {
        let Some(service) = failure.service().filter(|_| failure.is_refusal()) else { return false };
        let first = |tried: &mut bool| !std::mem::replace(tried, true);
        if self.inner.repairs.load(Ordering::SeqCst) != repairs && first(&mut tried.elsewhere) {
            // Another request did it meanwhile.
            return true;
        }
        if let Some(date) = self.correct_date(service)
            && first(&mut tried.clock)
        {
            self.inner.clock.correct(date);
            self.inner.repairs.fetch_add(1, Ordering::SeqCst);
        } else if self.may_be_stale(failure, service).await && first(&mut tried.keys) {
            // Only whoever comes first: the others would forget the keys that it fetched.
            if self.inner.repairs.compare_exchange(repairs, repairs + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                self.inner.credentials.invalidate();
            }
        } else {
            return false;
        }
        true
    }

    /// The store's time, if the clocks differ too much. Answers to HEAD have no code; then only their date tells.
    fn correct_date(&self, service: &ServiceError) -> Option<OffsetDateTime> {
        let differs = |date: &OffsetDateTime| (*date - self.inner.clock.now()).abs() > MOST_SKEW;
        match service.code.as_str() {
            "RequestTimeTooSkewed" => service.date,
            "" => service.date.filter(differs),
            _ => None,
        }
    }

    /// Temporary keys are cached, also between runs, and the store may have forgotten them since.
    async fn may_be_stale(&self, failure: &Error, service: &ServiceError) -> bool {
        let doubted = failure.is_unauthenticated() || service.code.is_empty();
        failure.is_expired() || (doubted && self.credential().await.is_ok_and(|credential| credential.expires_at.is_some()))
    }

    /// Runs one control request with a limit on its whole duration, retried.
    pub(crate) async fn control<T, F, R>(&self, target: &str, request: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, Error>>,
    {
        self.within(self.inner.transport.stall() * 2, target, request).await
    }

    /// The same for a request that the store answers after work of its own, see [`PATIENCE`].
    pub(crate) async fn control_work<T, F, R>(&self, target: &str, request: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, Error>>,
    {
        self.within(self.inner.transport.patience() + self.inner.transport.stall(), target, request).await
    }

    async fn within<T, F, R>(&self, limit: Duration, target: &str, mut request: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, Error>>,
    {
        self.retrying(|attempt| {
            let answer = request(attempt);
            async move {
                // Asked first, so that its failure keeps its type: the SDK would wrap it beyond recognition.
                self.credential().await?;
                tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
                    Err(Error::Http(http::Error::Timeout { host: target.to_owned(), seconds: limit.as_secs() }))
                })
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use time::macros::datetime;

    use super::{Client, Options};
    use crate::auth::{Credential, CredentialSource, Error, Secret};
    use crate::http::testing::{Script, Server};

    /// `AK0`, and after each time it was forgotten the next.
    #[derive(Debug)]
    struct Keys {
        forgotten: AtomicU32,
        temporary: bool,
    }

    #[async_trait]
    impl CredentialSource for Keys {
        async fn credential(&self) -> Result<Arc<Credential>, Error> {
            Ok(Arc::new(Credential {
                access_key: format!("AK{}", self.forgotten.load(Ordering::SeqCst)),
                secret_key: Secret::new("secret"),
                security_token: None,
                expires_at: self.temporary.then_some(datetime!(2999-01-01 00:00 UTC)),
            }))
        }

        fn invalidate(&self) {
            self.forgotten.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Asks once; whether that succeeded, and the requests it took.
    async fn ask(temporary: bool, scripts: Vec<Script>) -> (bool, Vec<String>) {
        let server = Server::start(scripts);
        let keys = Arc::new(Keys { forgotten: AtomicU32::new(0), temporary });
        let client = Client::new(Options::new(&server.endpoint, "r", keys)).unwrap();
        let found = client.head_bucket("bucket").await.is_ok();
        (found, server.seen())
    }

    fn refused() -> Script {
        Script::new(403, "")
    }

    #[tokio::test]
    async fn temporary_keys_that_the_store_rejects_are_replaced_once() {
        let (found, seen) = ask(true, vec![refused(), Script::new(200, "")]).await;
        assert!(found && seen.len() == 2, "{seen:?}");
        assert!(seen[0].contains("Credential=AK0/") && seen[1].contains("Credential=AK1/"), "{seen:?}");
        let (found, seen) = ask(true, vec![refused(), refused(), Script::new(200, "")]).await;
        assert!(!found && seen.len() == 2, "{seen:?}");
        let (found, seen) = ask(false, vec![refused(), Script::new(200, "")]).await;
        assert!(!found && seen.len() == 1, "permanent keys stay what they are {seen:?}");
    }

    #[tokio::test]
    async fn a_wrong_clock_shows_in_the_date_of_a_refusal() {
        let late = refused().header("Date", "Fri, 01 Jan 2038 00:10:00 GMT");
        let (found, seen) = ask(false, vec![late, Script::new(200, "")]).await;
        assert!(found && seen.len() == 2, "{seen:?}");
        assert!(seen[1].contains("x-amz-date: 20380101T00"), "{seen:?}");
    }
}
