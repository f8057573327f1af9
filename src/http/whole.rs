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
    while let Some(piece) = response.chunk().await.map_err(|error| classify(&error, host, limit))? {
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

    use crate::http::{Client, Error, Options, Request};

    #[tokio::test]
    async fn an_answer_without_end_is_refused() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\nmore").await;
        });
        let error = Client::new(Options::default()).send(Request::new(Method::GET, url)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    }
}
