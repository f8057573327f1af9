//! Reading what a link leads to, from any byte on, piece by piece.

use bytes::Bytes;
use http::StatusCode;

use crate::api::error::{Error, Refusal};
use crate::http::Incoming;

/// What a request for the bytes from some byte on came to.
#[derive(Debug)]
pub enum Fetched {
    /// There are such bytes.
    Body(Download),
    /// There are none; with the length of the whole, when the server says.
    Beyond(Option<u64>),
}

/// Bytes that are being fetched.
#[derive(Debug)]
pub struct Download {
    incoming: Incoming,
    /// What of the whole is not wanted and comes all the same.
    skip: u64,
    /// Whether the server sends from where it is asked to; else it sends the whole each time.
    pub has_ranges: bool,
}

impl Download {
    /// The next piece of what was asked for; `None` at the end.
    ///
    /// # Errors
    /// The connection broke or fell silent.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(mut piece) = self.incoming.piece().await? {
            let skipped = self.skip.min(piece.len() as u64);
            self.skip -= skipped;
            drop(piece.split_to(usize::try_from(skipped).unwrap_or(piece.len())));
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

/// Reads the head of the answer to a request for the bytes from `from` on (RFC 9110, section 14).
pub(super) async fn fetched(incoming: Incoming, from: u64) -> Result<Fetched, Error> {
    let range = incoming.header("content-range").unwrap_or_default().trim().to_owned();
    match incoming.status() {
        StatusCode::PARTIAL_CONTENT => match range_start(&range) {
            Some(start) if start <= from => Ok(Fetched::Body(Download { incoming, skip: from - start, has_ranges: true })),
            _ => Err(Error::Invalid(format!("bytes from {from} on were asked for, [{range}] were sent"))),
        },
        StatusCode::RANGE_NOT_SATISFIABLE => {
            Ok(Fetched::Beyond(range.strip_prefix("bytes */").and_then(|size| size.parse().ok())))
        }
        status if status.is_success() => Ok(Fetched::Body(Download { incoming, skip: from, has_ranges: false })),
        _ => {
            let answer = incoming.whole().await?;
            Err(Error::Service(Box::new(Refusal::read(answer.status, answer.request_id(), &answer.body))))
        }
    }
}

/// `bytes 10-19/20` begins at 10.
fn range_start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use super::{Fetched, fetched};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options, Request};

    async fn text(script: Script, from: u64) -> Result<(String, bool), Option<u64>> {
        let server = Server::start(vec![script]);
        let request = Request::new(Method::GET, Url::parse(&server.endpoint).unwrap());
        let incoming = Client::new(Options::default()).open(request).await.unwrap();
        match fetched(incoming, from).await.unwrap() {
            Fetched::Beyond(size) => Err(size),
            Fetched::Body(mut download) => {
                let mut text = Vec::new();
                while let Some(piece) = download.piece().await.unwrap() {
                    text.extend_from_slice(&piece);
                }
                Ok((String::from_utf8(text).unwrap(), download.has_ranges))
            }
        }
    }

    #[tokio::test]
    async fn the_bytes_asked_for_come_whatever_the_server_can() {
        let partial = |range: &str, body: &str| Script::new(206, body).header("Content-Range", range);
        assert_eq!(text(partial("bytes 4-6/7", "efg"), 4).await, Ok(("efg".to_owned(), true)));
        assert_eq!(text(partial("bytes 2-6/7", "cdefg"), 4).await, Ok(("efg".to_owned(), true)));
        assert_eq!(text(Script::new(200, "abcdefg"), 4).await, Ok(("efg".to_owned(), false)));
        assert_eq!(text(Script::new(200, "abc"), 4).await, Ok((String::new(), false)));
        assert_eq!(text(Script::new(416, "").header("Content-Range", "bytes */3"), 4).await, Err(Some(3)));
        assert_eq!(text(Script::new(416, ""), 4).await, Err(None));
    }
}
