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

/// Bytes are handed to the connection in frames of this size: it takes the next one when it got rid of another, which is how
/// progress on a slow line is seen.
const FRAME: usize = 16 * 1024;

/// Adapts a [`Payload`] to hyper.
pub(crate) struct StreamBody {
    left: u64,
    // None once everything is in memory.
    pieces: Option<Box<dyn Pieces>>,
    // What is in memory already.
    rest: Bytes,
    // Only polled through `&mut self`.
    pending: Option<NextPiece>,
    progress: Progress,
    reason: Reason,
}

impl StreamBody {
    pub(crate) fn new(payload: Payload, progress: Progress, reason: Reason) -> Self {
        let left = payload.length();
        let (pieces, rest) = match payload {
            Payload::Whole(bytes) => (None, bytes),
            Payload::Stream { pieces, .. } => (Some(pieces), Bytes::new()),
        };
        Self { left, pieces, rest, pending: None, progress, reason }
    }

    fn cut(&mut self) -> Frame<Bytes> {
        let frame = self.rest.split_to(self.rest.len().min(FRAME));
        self.left -= frame.len() as u64;
        self.progress.touch();
        Frame::data(frame)
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
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.cut())));
        }
        let next = match self.pending.take() {
            Some(pending) => Some(pending),
            None => self.pieces.as_mut().map(|pieces| pieces.next()),
        };
        let Some(mut pending) = next else { return Poll::Ready(None) };
        match pending.as_mut().poll(context) {
            Poll::Pending => {
                self.pending = Some(pending);
                Poll::Pending
            }
            Poll::Ready(Ok(piece)) if piece.is_empty() || piece.len() as u64 > self.left => {
                Poll::Ready(Some(Err(self.fail("its length changed while it was read".to_owned()))))
            }
            Poll::Ready(Ok(piece)) => {
                self.rest = piece;
                Poll::Ready(Some(Ok(self.cut())))
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt as _;

    use super::{FRAME, NextPiece, Payload, Pieces, StreamBody};
    use crate::obs::transport::Progress;

    struct Twice(Bytes);

    impl Pieces for Twice {
        fn next(&mut self) -> NextPiece {
            let piece = self.0.clone();
            Box::pin(async move { Ok(piece) })
        }
    }

    #[tokio::test]
    async fn bytes_go_in_small_frames() {
        let bytes = Bytes::from(vec![7; 2 * FRAME + 5]);
        let whole = Payload::Whole(bytes.clone());
        let stream = Payload::Stream { length: 2 * bytes.len() as u64, pieces: Box::new(Twice(bytes)) };
        let once = [FRAME, FRAME, 5];
        for (payload, expected) in [(whole, once.to_vec()), (stream, [once, once].concat())] {
            let mut body = StreamBody::new(payload, Progress::new(), super::Reason::default());
            let mut lengths = Vec::new();
            while let Some(frame) = body.frame().await {
                lengths.push(frame.unwrap().into_data().unwrap().len());
            }
            assert_eq!(lengths, expected);
        }
    }
}
