//! The client of the control planes: one attempt or several, with time limits, request ids and redacted traces.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::http::error::{find, innermost};
use crate::http::proxy::Proxy;
use crate::http::trace::{trace_answer, trace_request, traced};
use crate::http::{Error, Options, tls, whole};

/// Clocks that are further apart make every signature invalid; the services' usual limit, in seconds.
pub const WORST_SKEW: u64 = 15 * 60;

/// How long one attempt may take, by what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeClass {
    /// Answers that come from a database: 60 s.
    Control,
    /// Operations that make the service work before it answers: 120 s.
    Slow,
    /// Bodies of any length: no limit but that on silence.
    Transfer,
}

impl TimeClass {
    fn limit(self) -> Option<Duration> {
        match self {
            Self::Control => Some(Duration::from_secs(60)),
            Self::Slow => Some(Duration::from_secs(120)),
            Self::Transfer => None,
        }
    }
}

/// One attempt's request, headers complete.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Whole address, query included.
    pub url: Url,
    /// Headers, authorization included.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Bytes,
    /// Time limit.
    pub class: TimeClass,
    /// Sending it twice has the effect of sending it once, although its method does not say so (a search, a login).
    pub repeatable: bool,
    /// Its path is a secret and is left out of traces.
    pub is_secret: bool,
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: Method, url: Url) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, url, headers, body, class: TimeClass::Control, repeatable: false, is_secret: false }
    }

    /// Makes `document` the body.
    #[must_use]
    pub fn json(mut self, document: &serde_json::Value) -> Self {
        self.body = Bytes::from(document.to_string());
        self.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    /// Whether the method promises that sending it twice has the effect of sending it once.
    pub fn is_idempotent(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE)
    }
}

/// What a server answered, whatever the status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The service's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.header("x-request-id")
    }

    /// The server's clock less ours, in seconds, when it tells its time.
    pub fn skew(&self) -> Option<i64> {
        let theirs = OffsetDateTime::parse(&self.header("date")?.replace("GMT", "+0000"), &Rfc2822).ok()?;
        Some((theirs - OffsetDateTime::now_utc()).whole_seconds())
    }

    /// What explains an answer that is no success better than its status: it sends elsewhere, or clocks differ too much for
    /// signatures. Of the target only the host is told: the rest may be a secret.
    pub fn explanation(&self) -> Option<String> {
        if self.status.is_redirection() {
            let target = self.header("location").and_then(|target| Url::parse(target).ok());
            let target = target.and_then(|url| Some(format!("[{}://{}]", url.scheme(), url.host_str()?)));
            return Some(format!(
                "the endpoint redirects to {}, which is not followed",
                target.as_deref().unwrap_or("another path")
            ));
        }
        let is_refusal = matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let skew = self.skew().filter(|skew| is_refusal && skew.unsigned_abs() > WORST_SKEW)?;
        let direction = if skew > 0 { "behind" } else { "ahead of" };
        Some(format!("the clock of this machine is {} s {direction} that of the service", skew.unsigned_abs()))
    }
}

/// An answer whose body is read piece by piece.
#[derive(Debug)]
pub struct Incoming {
    response: reqwest::Response,
    host: String,
    begun: Instant,
    read_timeout: Duration,
}

impl Incoming {
    /// Status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header's value, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// The connection broke or fell silent before the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        self.response.chunk().await.map_err(|error| classify(&error, &self.host, self.read_timeout, None))
    }

    /// All of it, for an answer that tells of a failure.
    ///
    /// # Errors
    /// As [`Incoming::piece`].
    pub async fn whole(self) -> Result<Answer, Error> {
        let (status, headers) = (self.response.status(), self.response.headers().clone());
        let body = whole::read(self.response, &self.host, self.read_timeout).await?;
        let answer = Answer { status, headers, body };
        trace_answer(&answer, self.begun);
        Ok(answer)
    }
}

/// Sends requests; cheap to clone, all clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    /// Speaks http only and needs no certificates; the platform is reached by this one.
    plain: OnceLock<reqwest::Client>,
    /// Loading the system's roots takes milliseconds, so it waits for the first https request. Speaks HTTP/2 where it is offered.
    secure: OnceLock<reqwest::Client>,
    /// Connections that leave HTTP begin with version 1.1.
    upgrading: OnceLock<reqwest::Client>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that connects when the first request is sent.
    pub fn new(options: Options) -> Self {
        let (plain, secure, upgrading) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { options, plain, secure, upgrading }) }
    }

    pub(super) fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Value of the `User-Agent` header; signed requests sign it.
    pub fn user_agent(&self) -> &str {
        &self.inner.options.user_agent
    }

    /// One attempt. Redirects are answers like any other.
    ///
    /// # Errors
    /// [`Error`] when there is no whole answer; a status such as 500 is an answer.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let host = host(&request.url);
        let (limit, begun) = (self.limit(request.class), Instant::now());
        let response = self.start(request, false).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = whole::read(response, &host, limit).await.map_err(|error| traced(error, begun))?;
        let answer = Answer { status, headers, body };
        trace_answer(&answer, begun);
        Ok(answer)
    }

    /// One attempt whose body is still to come: for what may be long.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn open(&self, request: Request) -> Result<Incoming, Error> {
        let (host, begun) = (host(&request.url), Instant::now());
        let response = self.start(request, false).await?;
        tracing::debug!(
            "<- {} {:?} after {} ms, body follows",
            response.status(),
            response.version(),
            begun.elapsed().as_millis()
        );
        Ok(Incoming { response, host, begun, read_timeout: self.inner.options.read_timeout })
    }

    /// How long an answer may be silent, for messages.
    pub(super) fn limit(&self, class: TimeClass) -> Duration {
        let silence = self.inner.options.read_timeout;
        class.limit().map_or(silence, |limit| limit.min(silence))
    }

    pub(super) async fn start(&self, request: Request, upgrades: bool) -> Result<reqwest::Response, Error> {
        trace_request(&request);
        let client = self.connection(&request.url, upgrades)?;
        let (host, begun) = (host(&request.url), Instant::now());
        let (limit, shown) = (request.class.limit(), self.limit(request.class));
        let options = &self.inner.options;
        let proxy = options.proxy.for_url(&request.url)?;
        let mut builder = client.request(request.method, request.url).headers(request.headers).body(request.body);
        if let Some(limit) = limit {
            builder = builder.timeout(limit);
        }
        builder.send().await.map_err(|error| {
            let limit = if error.is_connect() { options.connect_timeout } else { shown };
            traced(classify(&error, &host, limit, proxy), begun)
        })
    }

    fn connection(&self, url: &Url, upgrades: bool) -> Result<&reqwest::Client, Error> {
        let inner = &self.inner;
        let (cell, speaks) = match url.scheme() {
            "https" if upgrades => (&inner.upgrading, Speaks::Http1),
            "https" => (&inner.secure, Speaks::Http2),
            "http" => (&inner.plain, Speaks::Plain),
            other => return Err(Error::Invalid(format!("an endpoint begins with https:// or http://, not {other}://"))),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let built = build(&inner.options, speaks)?;
        Ok(cell.get_or_init(|| built))
    }
}

/// What a client offers to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/1.1 over TLS.
    Http1,
    /// HTTP/2 over TLS, or HTTP/1.1 if the other side prefers it.
    Http2,
}

fn build(options: &Options, speaks: Speaks) -> Result<reqwest::Client, Error> {
    let secure = speaks != Speaks::Plain;
    let invalid = |error: reqwest::Error| Error::Invalid(error.without_url().to_string());
    let mut config = if secure { tls::client_config(options)?.as_ref().clone() } else { without_roots()? };
    if speaks == Speaks::Http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(redirect::Policy::none())
        .referer(false)
        .user_agent(&options.user_agent)
        .connect_timeout(options.connect_timeout)
        .read_timeout(options.read_timeout)
        .no_proxy();
    let chosen = if secure { &options.proxy.https } else { &options.proxy.http };
    if let Some(Ok(chosen)) = chosen {
        let proxies = options.proxy.clone();
        // Asked for each address, so that both of our HTTP clients go the same way.
        let mut proxy = reqwest::Proxy::custom(move |url| Some(proxies.for_url(url).ok()??.address.clone()));
        if let Some(authorization) = &chosen.authorization {
            proxy = proxy.custom_http_auth(authorization.clone());
        }
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(invalid)
}

/// A configuration that trusts nobody, for clients that never speak TLS.
fn without_roots() -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Host and port, as error messages name them.
pub(super) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// What an attempt came to that has no answer; `proxy` is the one that was taken, if any.
pub(super) fn classify(error: &reqwest::Error, host: &str, limit: Duration, proxy: Option<&Proxy>) -> Error {
    let (owned, seconds) = (host.to_owned(), limit.as_secs().max(1));
    match proxy {
        Some(proxy) if error.is_timeout() && error.is_connect() => Error::of_slow_proxy(owned, proxy, seconds),
        _ if error.is_timeout() => Error::Timeout { host: owned, seconds },
        _ if error.is_builder() => Error::Invalid(innermost(error)),
        _ if error.is_connect() || find::<rustls::Error>(error).is_some() => Error::of_connecting(host, proxy, error),
        _ => Error::Interrupted { host: owned, message: innermost(error) },
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::{Client, Request};
    use crate::http::{Error, Options, proxy};

    #[tokio::test]
    async fn a_closed_port_is_named_in_the_error() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/v3")).unwrap();
        let error = Client::new(Options::default()).send(Request::new(Method::GET, url)).await.unwrap_err();
        let Error::Connect { host, message } = error else { panic!("{error:?}") };
        assert_eq!(host, format!("127.0.0.1:{port}"));
        assert!(message.contains("refused"), "{message}");
    }

    #[tokio::test]
    async fn loopback_takes_no_proxy_and_redirects_are_answers() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            let answer = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nX-Request-Id: r1\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        // Nothing listens on port 9, so a request that takes the proxy fails.
        let http = proxy::Proxy::parse("http://127.0.0.1:9", "a test".to_owned()).unwrap().map(Ok);
        let proxy = proxy::Options { http, ..proxy::Options::default() };
        let client = Client::new(Options { proxy, ..Options::default() });
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let answer = client.send(Request::new(Method::GET, url)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.request_id()), (302, Some("r1")));
    }

    #[tokio::test]
    async fn plain_text_where_tls_is_expected_is_a_tls_error() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let url = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
        let error = Client::new(Options::default()).send(Request::new(Method::GET, url)).await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    }
}
