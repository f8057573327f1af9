//! A reverse proxy on loopback that forwards every request unchanged and remembers what went over the wire.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use super::catalogue::Exchange;

/// A running proxy; it ends with the runtime it was started in.
pub(crate) struct Proxy {
    address: SocketAddr,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

#[derive(Clone)]
struct Forwarder {
    upstream: String,
    client: Client<HttpConnector, Body>,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Proxy {
    /// Forwards to `upstream`, such as `http://127.0.0.1:8080`.
    pub(crate) async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let exchanges = Arc::<Mutex<Vec<Exchange>>>::default();
        let forwarder = Forwarder {
            upstream: upstream.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            exchanges: Arc::clone(&exchanges),
        };
        let router = Router::new().fallback(forward).with_state(forwarder);
        tokio::spawn(async move { serve(listener, router).await });
        Self { address, exchanges }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was recorded since the last call, in the order of the replies.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.exchanges.lock().unwrap())
    }
}

/// Each connection until its client closes it.
async fn serve(listener: TcpListener, router: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn forward(State(forwarder): State<Forwarder>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let request_body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut exchange = Exchange {
        method: parts.method.to_string(),
        target: target.clone(),
        request_headers: pairs(&parts.headers),
        request_body: request_body.to_vec(),
        ..Exchange::default()
    };
    // The host header stays as the client sent it: it is part of what was signed.
    parts.uri = format!("{}{target}", forwarder.upstream).parse::<Uri>().expect("the upstream is a URL");
    let reply = match forwarder.client.request(Request::from_parts(parts, Body::from(request_body))).await {
        Ok(reply) => reply,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let (parts, body) = reply.into_parts();
    let reply_body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    exchange.status = parts.status.as_u16();
    exchange.reply_headers = pairs(&parts.headers);
    exchange.reply_body = reply_body.to_vec();
    forwarder.exchanges.lock().unwrap().push(exchange);
    Response::from_parts(parts, Body::from(reply_body))
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forwards_and_remembers() {
        let upstream = Router::new().fallback(|request: Request| async move {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            (StatusCode::CREATED, [("x-seen-host", host)], body)
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { serve(listener, upstream).await });

        let proxy = Proxy::start(&format!("http://{address}/")).await;
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("{}/v1/a%2Fb?x=%20", proxy.endpoint());
        let request = Request::post(uri).header("host", "signed.example").body(Body::from("ping")).unwrap();
        let reply = client.request(request).await.unwrap();
        assert_eq!(reply.status(), StatusCode::CREATED);
        assert_eq!(reply.headers()["x-seen-host"], "signed.example");

        let recorded = proxy.take();
        assert_eq!(recorded.len(), 1);
        assert_eq!((recorded[0].method.as_str(), recorded[0].target.as_str()), ("POST", "/v1/a%2Fb?x=%20"));
        assert_eq!((recorded[0].request_body.as_slice(), recorded[0].reply_body.as_slice()), (&b"ping"[..], &b"ping"[..]));
        assert_eq!(recorded[0].status, 201);
        assert!(proxy.take().is_empty());
    }
}
