//! One HTTP/1.1 connection pool under both halves of the client.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_smithy_types::body::SdkBody;
use http::header::{CONTENT_LENGTH, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::http::connector::Connector;
use crate::http::{Error, Options, redact};

/// Idle connections are dropped before the usual server limits (60 s and more) close them under a request.
const IDLE: Duration = Duration::from_secs(30);

/// hyper's buffer of one connection; 32 connections must stay far below the memory promise.
const BUFFER: usize = 128 * 1024;

/// Sends requests; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    client: Client<Connector, SdkBody>,
    connector: Connector,
    user_agent: HeaderValue,
    stall: Duration,
    patience: Duration,
}

/// When bytes of a request last moved, shared with a body that is being sent.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    start: Instant,
    millis: Arc<AtomicU64>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), millis: Arc::new(AtomicU64::new(0)) }
    }

    /// Bytes moved now.
    pub(crate) fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    /// Time since then.
    pub(crate) fn quiet_for(&self) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.millis.load(Ordering::Relaxed)))
    }
}

impl Transport {
    pub(crate) fn new(options: &Options, stall: Duration, patience: Duration) -> Result<Self, Error> {
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|_| Error::Invalid("the user agent holds characters that a header cannot".to_owned()))?;
        let connector = Connector::new(options.clone());
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(BUFFER)
            .build(connector.clone());
        Ok(Self { client, connector, user_agent, stall, patience })
    }

    /// The time without progress after which a request counts as stalled.
    pub(crate) fn stall(&self) -> Duration {
        self.stall
    }

    /// The same for requests that the store answers after work of its own.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Sends a request and waits for the head of the answer. `progress` is touched by the body, if it is one that streams.
    pub(crate) async fn send(&self, mut request: Request<SdkBody>, progress: &Progress) -> Result<Response<Incoming>, Error> {
        request.headers_mut().insert(USER_AGENT, self.user_agent.clone());
        announce_length(&mut request);
        if let Some(authorization) = self.connector.proxy_authorization(request.uri())? {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
        }
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        trace_request(&request);
        let stall = if is_work(&request) { self.patience } else { self.stall };
        let answer = self.client.request(request);
        tokio::pin!(answer);
        loop {
            let left = stall.saturating_sub(progress.quiet_for());
            if left.is_zero() {
                return Err(Error::Timeout { host, seconds: stall.as_secs() });
            }
            if let Ok(answer) = tokio::time::timeout(left, &mut answer).await {
                return answer.map_err(|error| classify(&host, error)).inspect(trace_answer);
            }
        }
    }
}

/// Whether the store answers only after work of its own: it joins the parts of an upload, or copies.
fn is_work(request: &Request<SdkBody>) -> bool {
    let joins = || request.uri().query().is_some_and(|query| query.contains("uploadId="));
    (request.method() == Method::POST && joins()) || request.headers().contains_key("x-amz-copy-source")
}

/// hyper leaves the length of an empty body out; OBS answers 411 to that.
fn announce_length(request: &mut Request<SdkBody>) {
    let carries = matches!(*request.method(), Method::PUT | Method::POST);
    if let Some(length) = request.body().content_length().filter(|_| carries) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Bodies are not shown: they are files, or lists that would bury the rest.
fn trace_request(request: &Request<SdkBody>) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let uri = request.uri().to_string();
        let url = uri.parse().map_or_else(|_| request.uri().path().to_owned(), |url| redact::url(&url));
        tracing::debug!(headers = redact::headers(request.headers()), "-> {} {url}", request.method());
    }
}

fn trace_answer(answer: &Response<Incoming>) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!(headers = redact::headers(answer.headers()), "<- {}", answer.status());
    }
}

/// Our connector's own errors come back as they were; anything else broke on the way.
fn classify(host: &str, error: hyper_util::client::legacy::Error) -> Error {
    let mut message = error.to_string();
    let mut link: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(current) = link {
        if let Some(own) = current.downcast_ref::<Error>() {
            return own.duplicate();
        }
        message = current.to_string();
        link = current.source();
    }
    Error::Interrupted { host: host.to_owned(), message }
}
