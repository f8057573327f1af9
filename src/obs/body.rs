//! Bodies: what is sent in pieces, what arrives in pieces.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::http;
use crate::obs::error::Error;
use crate::obs::transport::Progress;

/// The next piece of a body that is being sent; an empty one ends it early and fails the request.
pub type NextPiece = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + Sync>>;

/// Gives the bytes of a request body one piece after the other, each read only when the connection can take it.
pub trait Pieces: Send + Sync + 'static {
    /// Reads the next piece. Called until the announced length is reached.
    fn next(&mut self) -> NextPiece;
}

/// What is sent.
pub enum Payload {
    /// All of it, in memory; cheap to send again.
    Whole(Bytes),
    /// A stream of known length.
    Stream {
        /// Bytes that will be sent.
        length: u64,
        /// Where they come from.
        pieces: Box<dyn Pieces>,
    },
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Payload({} bytes)", self.length())
    }
}

impl Payload {
    /// Length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Stream { length, .. } => *length,
        }
    }
}

/// Why a body stopped, kept aside because hyper reports only that it did.
pub(crate) type Reason = Arc<Mutex<Option<String>>>;

/// Adapts [`Pieces`] to hyper.
pub(crate) struct StreamBody {
    left: u64,
    pieces: Box<dyn Pieces>,
    // Only polled through `&mut self`.
    pending: Option<NextPiece>,
    progress: Progress,
    reason: Reason,
}

impl StreamBody {
    pub(crate) fn new(length: u64, pieces: Box<dyn Pieces>, progress: Progress, reason: Reason) -> Self {
        Self { left: length, pieces, pending: None, progress, reason }
    }

    fn fail(&self, message: String) -> std::io::Error {
        let error = std::io::Error::other(message.clone());
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(message);
        error
    }
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut pending = match self.pending.take() {
            Some(pending) => pending,
            None => self.pieces.next(),
        };
        match pending.as_mut().poll(context) {
            Poll::Pending => {
                self.pending = Some(pending);
                Poll::Pending
            }
            Poll::Ready(Ok(piece)) if piece.is_empty() || piece.len() as u64 > self.left => {
                Poll::Ready(Some(Err(self.fail("its length changed while it was read".to_owned()))))
            }
            Poll::Ready(Ok(piece)) => {
                self.left -= piece.len() as u64;
                self.progress.touch();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Poll::Ready(Err(message)) => Poll::Ready(Some(Err(self.fail(message)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An answer's body, in pieces as they arrive, cut off when it stalls.
#[derive(Debug)]
pub struct Body {
    pub(crate) incoming: Incoming,
    pub(crate) operation: &'static str,
    pub(crate) target: String,
    pub(crate) stall: std::time::Duration,
    pub(crate) left: u64,
}

impl Body {
    /// The next piece; `None` once the announced length has arrived.
    ///
    /// # Errors
    /// [`Error::Answer`] when the body ends early, [`Error::Http`] when it stalls or the connection breaks.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            let host = || self.target.clone();
            let frame = tokio::time::timeout(self.stall, self.incoming.frame())
                .await
                .map_err(|_| http::Error::Timeout { host: host(), seconds: self.stall.as_secs() })?;
            let message = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(piece) if piece.is_empty() => continue,
                    Ok(piece) if piece.len() as u64 > self.left => "the answer is longer than announced".to_owned(),
                    Ok(piece) => {
                        self.left -= piece.len() as u64;
                        return Ok(Some(piece));
                    }
                    Err(_) => continue,
                },
                Some(Err(error)) => return Err(http::Error::Interrupted { host: host(), message: error.to_string() }.into()),
                None => format!("the answer was cut short, {} bytes are missing", self.left),
            };
            return Err(Error::Answer { operation: self.operation, target: self.target.clone(), message });
        }
    }
}
