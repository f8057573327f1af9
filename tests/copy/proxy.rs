//! A proxy that breaks things: stands before a store and spoils the first requests that match.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The store is never asked; the answer has this status.
    Status(u16),
    /// The store is never asked; the connection closes.
    Reset,
    /// The store does what was asked, and the connection closes before it can say so.
    LoseAnswer,
    /// Half of the answer's body, then the connection closes.
    CutBody,
    /// A byte of what is sent changes on the way.
    FlipUp,
    /// A byte of what is received changes on the way.
    FlipDown,
    /// The answer's ETag looks like an MD5 and is another one; `true`: it says that the store encrypts, as OBS does.
    OtherEtag(bool),
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    client: legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>,
    fault: Fault,
    matches: fn(&Method, &Uri) -> bool,
    left: AtomicUsize,
    seen: Mutex<Vec<String>>,
}

type Body = BoxBody<Bytes, std::io::Error>;

impl Proxy {
    /// Spoils the first `count` requests that match.
    pub(crate) async fn start(upstream: &str, fault: Fault, count: usize, matches: fn(&Method, &Uri) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: legacy::Client::builder(TokioExecutor::new()).build_http(),
            fault,
            matches,
            left: AtomicUsize::new(count),
            seen: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&accepting);
                let service = service_fn(move |request| Arc::clone(&shared).handle(request));
                // A spoilt connection ends with an error; that is the point.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { endpoint, shared }
    }

    /// Whether every fault was used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.shared.left.load(Ordering::SeqCst) == 0
    }

    /// `METHOD path?query` and header names of each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Shared {
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, std::io::Error> {
        let headers: Vec<&str> = request.headers().keys().map(http::HeaderName::as_str).collect();
        self.seen.lock().unwrap().push(format!("{} {} {}", request.method(), request.uri(), headers.join(" ")));
        let take = |left: usize| left.checked_sub(1);
        let is_hit = (self.matches)(request.method(), request.uri())
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        let fault = is_hit.then_some(self.fault);
        match fault {
            Some(Fault::Status(status)) => {
                let status = StatusCode::from_u16(status).unwrap();
                return Ok(Response::builder().status(status).body(whole(Bytes::new())).unwrap());
            }
            Some(Fault::Reset) => return Err(std::io::Error::other("reset on purpose")),
            _ => {}
        }
        let (parts, body) = request.into_parts();
        let mut bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        if fault == Some(Fault::FlipUp) {
            bytes = flip(&bytes);
        }
        let mut forwarded = Request::from_parts(parts, Full::new(bytes));
        let path = forwarded.uri().path_and_query().unwrap().to_string();
        *forwarded.uri_mut() = format!("{}{path}", self.upstream).parse().unwrap();
        let answer = self.client.request(forwarded).await.map_err(std::io::Error::other)?;
        let (mut parts, body) = answer.into_parts();
        if let Some(Fault::OtherEtag(encrypted)) = fault {
            parts.headers.insert("etag", HeaderValue::from_static("\"0123456789abcdef0123456789abcdef\""));
            if encrypted {
                parts.headers.insert("x-obs-server-side-encryption", HeaderValue::from_static("AES256"));
            }
        }
        let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let body = match fault {
            Some(Fault::LoseAnswer) => return Err(std::io::Error::other("answer lost on purpose")),
            Some(Fault::FlipDown) => whole(flip(&bytes)),
            Some(Fault::CutBody) => {
                let half = Frame::data(bytes.slice(..bytes.len() / 2));
                let pieces = [Ok(half), Err(std::io::Error::other("cut on purpose"))];
                http_body_util::BodyExt::boxed(StreamBody::new(stream::iter(pieces)))
            }
            _ => whole(bytes),
        };
        Ok(Response::from_parts(parts, body))
    }
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

fn flip(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}
