//! Connections that leave HTTP: a request is answered by another protocol, after which bytes go both ways.

use std::time::Instant;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, StatusCode};
use reqwest::Upgraded;

use crate::http::client::host;
use crate::http::trace::{trace_answer, traced};
use crate::http::{Answer, Client, Error, Request, whole};

/// What came of the wish to change the protocol.
#[derive(Debug)]
pub enum Switched {
    /// The other side speaks the protocol now.
    Yes(Box<Upgraded>),
    /// It answered by HTTP.
    No(Answer),
}

impl Client {
    /// One attempt to change to a protocol on a connection of its own.
    ///
    /// # Errors
    /// [`Error`] when there is no whole answer.
    pub async fn upgrade(&self, mut request: Request, protocol: &'static str) -> Result<Switched, Error> {
        request.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        request.headers.insert(UPGRADE, HeaderValue::from_static(protocol));
        let (host, limit, begun) = (host(&request.url), self.limit(request.class), Instant::now());
        let response = self.start(request, true).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let (status, headers) = (response.status(), response.headers().clone());
            let body = whole::read(response, &host, limit).await.map_err(|error| traced(error, begun))?;
            let answer = Answer { status, headers, body };
            trace_answer(&answer, begun);
            return Ok(Switched::No(answer));
        }
        let stream = response.upgrade().await.map_err(|error| Error::Invalid(error.without_url().to_string()))?;
        Ok(Switched::Yes(Box::new(stream)))
    }
}
