//! The client itself: what both halves share, and the retry loop around every request.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Credential, CredentialSource};
use crate::http;
use crate::http::retry::{Policy, Schedule};
use crate::obs::address::Address;
use crate::obs::error::{Error, Failure};
use crate::obs::sdk::{self, Clock, Parts};
use crate::obs::sign::Signer;
use crate::obs::transport::Transport;

/// Without any byte moving for this long a request counts as stalled and is tried again.
pub const STALL: Duration = Duration::from_secs(30);

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
    /// Time without progress after which a request is given up and tried again; [`STALL`] unless there is a reason.
    pub stall: Duration,
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
            stall: STALL,
        }
    }
}

/// A client of one object store. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) address: Address,
    pub(crate) region: String,
    pub(crate) transport: Transport,
    pub(crate) signer: Signer,
    pub(crate) clock: Arc<Clock>,
    pub(crate) sdk: aws_sdk_s3::Client,
    credentials: Arc<dyn CredentialSource>,
    retry: Policy,
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
        let transport = Transport::new(&options.http, options.stall)?;
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
            clock,
            sdk,
            credentials: options.credentials,
            retry: options.retry,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The credential to sign with now.
    pub(crate) async fn credential(&self) -> Result<Arc<Credential>, Error> {
        Ok(self.inner.credentials.credential().await?)
    }

    /// Runs a request until it succeeds, fails for good, or the policy's budget is spent. The closure gets the number of the
    /// attempt, 1 first. A clock that is wrong and temporary keys that have ended are put right once, without waiting.
    ///
    /// # Errors
    /// The last failure, wrapped with the number of attempts when there was more than one.
    pub async fn retrying<T, E, F, R>(&self, mut request: F) -> Result<T, E>
    where
        E: Failure,
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, E>>,
    {
        let mut schedule = Schedule::start(self.inner.retry);
        let mut put_right = false;
        loop {
            let error = match request(schedule.attempts()).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(failure) = error.as_obs() else { return Err(error) };
            if !put_right && self.put_right(failure) {
                put_right = true;
                continue;
            }
            let Some(wait) = schedule.next_wait(failure.class()) else {
                let tried = schedule.attempts();
                return Err(if tried > 1 { error.exhausted(tried, schedule.elapsed()) } else { error });
            };
            tracing::debug!(error = %failure, attempt = schedule.attempts(), ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    fn put_right(&self, failure: &Error) -> bool {
        if failure.is_expired() {
            self.inner.credentials.invalidate();
            return true;
        }
        let date = failure.service().filter(|service| service.code == "RequestTimeTooSkewed").and_then(|service| service.date);
        if let Some(date) = date {
            self.inner.clock.correct(date);
        }
        date.is_some()
    }

    /// Runs one control request with a limit on its whole duration, retried.
    pub(crate) async fn control<T, F, R>(&self, target: &str, mut request: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> R,
        R: Future<Output = Result<T, Error>>,
    {
        let limit = sdk::limit(&self.inner.transport);
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
