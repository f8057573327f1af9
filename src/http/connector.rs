//! The connector under the object store's client: TCP, proxy tunnel, TLS.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::http::proxy::Proxy;
use crate::http::{Error, Options, tls};

/// Opens connections for hyper's pooled client. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    tcp: HttpConnector,
    // Filled by the first https request: loading the system's roots takes milliseconds that http users need not spend.
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

impl Connector {
    /// A connector with those options; no I/O happens yet.
    pub fn new(options: Options) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        Self { shared: Arc::new(Shared { options, tcp, tls: Mutex::new(None) }) }
    }

    /// The `Proxy-Authorization` header a plain http request to this target must carry, if any.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the target names no host.
    pub fn proxy_authorization(&self, target: &Uri) -> Result<Option<HeaderValue>, Error> {
        if target.scheme_str() == Some("https") {
            return Ok(None);
        }
        Ok(self.shared.proxy(target)?.and_then(|proxy| proxy.authorization.clone()))
    }
}

impl Shared {
    fn proxy(&self, target: &Uri) -> Result<Option<&Proxy>, Error> {
        let scheme = target.scheme_str().unwrap_or("http");
        let host = target.host().ok_or_else(|| Error::Invalid(format!("[{target}] names no host")))?;
        let port = target.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        self.options.proxy.decide(scheme, host, port)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*tls {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config(&self.options)?;
        *tls = Some(Arc::clone(&config));
        Ok(config)
    }

    async fn connect(&self, target: Uri) -> Result<Stream, Error> {
        let host = target.authority().map(ToString::to_string).unwrap_or_default();
        let proxy = self.proxy(&target)?;
        let https = target.scheme_str() == Some("https");
        let mut tcp = self.tcp.clone();
        let connecting = async {
            match (https, proxy) {
                (false, None) => {
                    let stream = tcp.call(target).await.map_err(|error| Error::of_connecting(&host, None, &error))?;
                    Ok(Stream { inner: MaybeHttpsStream::Http(stream), proxied: false })
                }
                (false, Some(proxy)) => {
                    let connected = tcp.call(proxy_uri(proxy)?).await;
                    let stream = connected.map_err(|error| Error::of_connecting(&host, Some(proxy), &error))?;
                    Ok(Stream { inner: MaybeHttpsStream::Http(stream), proxied: true })
                }
                (true, None) => handshake(tcp, self.tls()?, target, &host, None).await,
                (true, Some(proxy)) => {
                    let mut tunnel = Tunnel::new(proxy_uri(proxy)?, tcp);
                    if let Some(authorization) = &proxy.authorization {
                        tunnel = tunnel.with_auth(authorization.clone());
                    }
                    handshake(tunnel, self.tls()?, target, &host, Some(proxy)).await
                }
            }
        };
        let limit = self.options.connect_timeout;
        let seconds = limit.as_secs();
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
            Err(match proxy {
                Some(proxy) => Error::of_slow_proxy(host.clone(), proxy, seconds),
                None => Error::Timeout { host: host.clone(), seconds },
            })
        })
    }
}

async fn handshake<C>(
    connector: C,
    config: Arc<ClientConfig>,
    target: Uri,
    host: &str,
    proxy: Option<&Proxy>,
) -> Result<Stream, Error>
where
    C: Service<Uri, Response = TokioIo<TcpStream>> + Send + 'static,
    C::Future: Send + 'static,
    C::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut https = HttpsConnector::from((connector, config));
    let inner = https.call(target).await.map_err(|error| Error::of_connecting(host, proxy, error.as_ref()))?;
    Ok(Stream { inner, proxied: false })
}

fn proxy_uri(proxy: &Proxy) -> Result<Uri, Error> {
    proxy.address.parse().map_err(|_| Error::Invalid(format!("the proxy address [{}] cannot be used", proxy.address)))
}

impl fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connector").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.connect(target).await })
    }
}

/// A connection: plain or TLS, direct or through a proxy.
#[derive(Debug)]
pub struct Stream {
    inner: MaybeHttpsStream<TokioIo<TcpStream>>,
    // True when requests must name the whole URL, because an http proxy forwards them.
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tower_service::Service as _;

    use super::Connector;
    use crate::http::{Client, Options, Request, proxy};

    /// A proxy whose reply to CONNECT has no end; gives its address and, when it is hung up on, how much it could send.
    async fn flood() -> (String, tokio::task::JoinHandle<usize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let sending = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"CONNECT far.example:443 "));
            let mut sent = 0;
            let _ = stream.write_all(b"HTTP/1.1 200 fine\r\n").await;
            while sent < 64 << 20 && stream.write_all(&b"X-More: and more\r\n".repeat(100)).await.is_ok() {
                sent += 1800;
            }
            sent
        });
        (address, sending)
    }

    #[tokio::test]
    async fn d4_3_a_proxy_s_reply_without_end_is_refused() {
        let options = |address: String| {
            let https = proxy::Proxy::parse(&address, "a test".to_owned()).unwrap().map(Ok);
            let proxy = proxy::Options { https, ..proxy::Options::default() };
            Options { proxy, connect_timeout: Duration::from_secs(60), ..Options::default() }
        };
        let (address, sending) = flood().await;
        let refused = Connector::new(options(address)).call("https://far.example/".parse().unwrap()).await;
        assert!(refused.is_err());
        let sent = sending.await.unwrap();
        assert!(sent < 64 << 20, "the object store's client took {sent} bytes");

        let (address, sending) = flood().await;
        let request = Request::new(Method::GET, "https://far.example/".parse().unwrap());
        Client::new(options(address)).send(request).await.unwrap_err();
        let sent = sending.await.unwrap();
        assert!(sent < 64 << 20, "the control planes' client took {sent} bytes");
    }
}
