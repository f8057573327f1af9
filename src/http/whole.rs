//! Whole bodies of answers, up to a length that no honest service needs.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use crate::http::Error;
use crate::http::client::classify;

/// Longest body of a control plane's answer: a list of 10,000 jobs takes a tenth of it.
const LARGEST: usize = 256 * 1024 * 1024;

/// Reads the body.
///
/// # Errors
/// The connection broke, or the body is longer than [`LARGEST`].
pub(super) async fn read(mut response: Response, host: &str, limit: Duration) -> Result<Bytes, Error> {
    let endless = || Error::Invalid(format!("the answer of {host} is longer than {LARGEST} bytes"));
    if response.content_length().is_some_and(|length| length > LARGEST as u64) {
        return Err(endless());
    }
    let mut whole = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| classify(&error, host, limit, None))? {
        if whole.len() + piece.len() > LARGEST {
            return Err(endless());
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use crate::http::{Client, Error, Options, Request, TimeClass};

    /// Answers each connection with this head and one piece of a body, and keeps it open.
    async fn endless(status: &'static str) -> Url {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: 1099511627776\r\n\r\nmore");
                let _ = stream.write_all(head.as_bytes()).await;
                open.push(stream);
            }
        });
        url
    }

    fn is_too_long(error: &Error) -> bool {
        matches!(error, Error::Invalid(message) if message.contains("is longer than"))
    }

    #[tokio::test]
    async fn d4_3_an_answer_without_end_is_refused() {
        let client = Client::new(Options::default());
        let request = Request::new(Method::GET, endless("200 OK").await);
        let error = client.send(request.clone()).await.unwrap_err();
        assert!(is_too_long(&error), "{error:?}");
        let error = client.open(request).await.unwrap().whole().await.unwrap_err();
        assert!(is_too_long(&error), "{error:?}");
        let request = Request::new(Method::GET, endless("403 Forbidden").await);
        let error = client.upgrade(request, "websocket").await.unwrap_err();
        assert!(is_too_long(&error), "{error:?}");
    }

    #[tokio::test]
    async fn d4_3_headers_without_end_are_refused() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let flood = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            let (line, mut sent) = (format!("X-More: {}\r\n", "a".repeat(8000)), 0_usize);
            while stream.write_all(line.as_bytes()).await.is_ok() {
                sent += line.len();
                assert!(sent < 64 << 20, "everything is taken");
            }
        });
        let mut request = Request::new(Method::GET, url);
        request.class = TimeClass::Transfer;
        Client::new(Options::default()).send(request).await.unwrap_err();
        flood.await.unwrap();
    }
}
