//! The connections of the byte path: HTTP/1.1 by hyper, driven by the task that uses them.
//!
//! A pooled client gives every connection a task of its own, and each request then costs changes between tasks, and between
//! threads. Here the caller's task polls the connection it has borrowed: 5,000 puts of 4 KiB took 25,000 context switches
//! with hyper-util's pool, see `scripts/bench copy --row put`.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::Connection as _;
use tokio::time::Sleep;
use tower_service::Service as _;

use crate::http::connector::{Connector, Stream};
use crate::http::{Error, Options, redact};
use crate::obs::body::{Body, StreamBody};
use crate::obs::transport::Progress;

/// Idle connections are dropped before the usual server limits close them under a request: OBS does after 30 seconds.
const IDLE: Duration = Duration::from_secs(20);

/// hyper's buffer of one connection.
const BUFFER: usize = 128 * 1024;

/// Sends requests over connections that it keeps; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connector: Connector,
    scheme: &'static str,
    user_agent: HeaderValue,
    stall: Duration,
    idle: Mutex<HashMap<String, Idle>>,
}

/// Connections that nobody uses, the last one used at the end.
type Idle = Vec<Box<Link>>;

/// The head of an answer, and its body to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) incoming: Incoming,
    pub(crate) link: Box<Link>,
}

/// A connection that one task has for itself.
pub(crate) struct Link {
    sender: SendRequest<StreamBody>,
    connection: Connection<Watched, StreamBody>,
    ended: bool,
    // Not to be used again.
    retired: bool,
    proxied: bool,
    host: String,
    progress: Progress,
    stall: Duration,
    // Rings when nothing may have moved for so long; set anew only when it rang too early.
    watchdog: Pin<Box<Sleep>>,
    freed: Instant,
}

impl Wire {
    pub(crate) fn new(options: &Options, https: bool, stall: Duration) -> Result<Self, Error> {
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|_| Error::Invalid("the user agent holds characters that a header cannot".to_owned()))?;
        let connector = Connector::new(options.clone());
        let scheme = if https { "https" } else { "http" };
        Ok(Self { shared: Arc::new(Shared { connector, scheme, user_agent, stall, idle: Mutex::default() }) })
    }

    /// The time without progress after which a request counts as stalled.
    pub(crate) fn stall(&self) -> Duration {
        self.shared.stall
    }

    /// Sends a request, whose URI is path and query alone, to a host, and waits for the head of the answer.
    pub(crate) async fn send(&self, host: &str, mut request: Request<StreamBody>) -> Result<Answer, Error> {
        let mut link = match self.idle(host).await {
            Some(link) => link,
            None => Box::pin(self.connect(host)).await?,
        };
        self.complete(host, &link, &mut request)?;
        trace_request(host, &request);
        let mut answer = Box::pin(link.sender.send_request(request));
        let answer = poll_fn(|context| link.poll(context, |context| answer.as_mut().poll(context))).await?;
        let answer = answer.map_err(|error| interrupted(host, &error)).inspect(trace_answer)?;
        let (parts, incoming) = answer.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, incoming, link })
    }

    /// Keeps a connection whose last answer has been read to its end.
    pub(crate) fn give_back(&self, mut link: Box<Link>) {
        if link.ended || link.retired {
            return;
        }
        link.freed = Instant::now();
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match idle.get_mut(&link.host) {
            Some(links) => links.push(link),
            None => {
                idle.insert(link.host.clone(), vec![link]);
            }
        }
    }

    /// The connection that was used last and still stands.
    async fn idle(&self, host: &str) -> Option<Box<Link>> {
        loop {
            let mut link = {
                let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let links = idle.get_mut(host)?;
                let link = links.pop()?;
                if link.freed.elapsed() > IDLE {
                    // The others are older still.
                    links.clear();
                    return None;
                }
                link
            };
            link.progress.touch();
            if link.ready().await.is_ok() {
                return Some(link);
            }
        }
    }

    async fn connect(&self, host: &str) -> Result<Box<Link>, Error> {
        let target: Uri = format!("{}://{host}/", self.shared.scheme)
            .parse()
            .map_err(|_| Error::Invalid(format!("[{host}] cannot be connected to")))?;
        let stream = self.shared.connector.clone().call(target).await?;
        let proxied = stream.connected().is_proxied();
        let progress = Progress::new();
        let watched = Watched { stream, progress: progress.clone() };
        let handshake = http1::Builder::new().max_buf_size(BUFFER).handshake(watched).await;
        let (sender, connection) = handshake.map_err(|error| interrupted(host, &error))?;
        let stall = self.shared.stall;
        let mut link = Box::new(Link {
            sender,
            connection,
            ended: false,
            retired: false,
            proxied,
            host: host.to_owned(),
            progress,
            stall,
            watchdog: Box::pin(tokio::time::sleep(stall)),
            freed: Instant::now(),
        });
        link.ready().await?;
        Ok(link)
    }

    /// Adds what every request carries.
    fn complete(&self, host: &str, link: &Link, request: &mut Request<StreamBody>) -> Result<(), Error> {
        let invalid = || Error::Invalid(format!("[{host}] cannot be asked"));
        let value = HeaderValue::from_str(host).map_err(|_| invalid())?;
        let length = request.body().length();
        if matches!(*request.method(), Method::PUT | Method::POST) {
            // hyper leaves the length of an empty body out; OBS answers 411 to that.
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        request.headers_mut().insert(HOST, value);
        request.headers_mut().insert(USER_AGENT, self.shared.user_agent.clone());
        if link.proxied {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let whole: Uri = format!("{}://{host}{path}", self.shared.scheme).parse().map_err(|_| invalid())?;
            if let Some(authorization) = self.shared.connector.proxy_authorization(&whole)? {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
            }
            *request.uri_mut() = whole;
        }
        Ok(())
    }
}

impl Link {
    /// Waits until the connection takes another request.
    async fn ready(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_ready(context)).await
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.drive(context);
        match self.sender.poll_ready(context) {
            Poll::Ready(Ok(())) if !self.ended => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(interrupted(&self.host, &error))),
            _ if self.ended => Poll::Ready(Err(self.closed())),
            _ => self.poll_stall(context).map(Err),
        }
    }

    /// No other request goes this way.
    pub(crate) fn retire(&mut self) {
        self.retired = true;
    }

    /// Polls something that this connection brings about.
    pub(crate) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Error>> {
        if let Poll::Ready(value) = wanted(context) {
            return Poll::Ready(Ok(value));
        }
        self.drive(context);
        if let Poll::Ready(value) = wanted(context) {
            return Poll::Ready(Ok(value));
        }
        if self.ended {
            return Poll::Ready(Err(self.closed()));
        }
        self.poll_stall(context).map(Err)
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.connection).poll(context).is_ready();
        }
    }

    /// Ready when no byte moved for too long.
    fn poll_stall(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        while self.watchdog.as_mut().poll(context).is_ready() {
            let left = self.stall.saturating_sub(self.progress.quiet_for());
            if left.is_zero() {
                self.ended = true;
                return Poll::Ready(Error::Timeout { host: self.host.clone(), seconds: self.stall.as_secs() });
            }
            self.watchdog.as_mut().reset(tokio::time::Instant::now() + left);
        }
        Poll::Pending
    }

    fn closed(&self) -> Error {
        Error::Interrupted { host: self.host.clone(), message: "the connection was closed".to_owned() }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Link").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Answer {
    /// The body, read through the connection, which goes back to `wire` at its end.
    pub(crate) fn body(self, wire: &Wire, target: String, operation: &'static str, length: Option<u64>) -> Body {
        Body::new(self.incoming, self.link, wire.clone(), target, operation, length)
    }
}

/// Notes when bytes move.
#[derive(Debug)]
struct Watched {
    stream: Stream,
    progress: Progress,
}

impl Watched {
    fn note<T>(&self, moved: Poll<std::io::Result<T>>) -> Poll<std::io::Result<T>> {
        if matches!(moved, Poll::Ready(Ok(_))) {
            self.progress.touch();
        }
        moved
    }
}

impl Read for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note(moved)
    }
}

impl Write for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, data);
        self.note(moved)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(moved)
    }
}

/// Bodies are not shown: they are files, or lists that would bury the rest.
fn trace_request(host: &str, request: &Request<StreamBody>) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let url = format!("http://{host}{path}").parse().map_or_else(|_| path.to_owned(), |url| redact::url(&url));
        tracing::debug!(headers = redact::headers(request.headers()), "-> {} {url}", request.method());
    }
}

fn trace_answer(answer: &Response<Incoming>) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        tracing::debug!(headers = redact::headers(answer.headers()), "<- {}", answer.status());
    }
}

fn interrupted(host: &str, error: &hyper::Error) -> Error {
    let mut message = error.to_string();
    let mut link = error.source();
    while let Some(current) = link {
        message = current.to_string();
        link = current.source();
    }
    Error::Interrupted { host: host.to_owned(), message }
}
