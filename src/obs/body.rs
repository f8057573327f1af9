//! Bodies: what is sent in pieces, what arrives in pieces.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::http;
use crate::obs::error::Error;
use crate::obs::wire::{Link, Wire};

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

/// Adapts a [`Payload`] to hyper.
pub(crate) struct StreamBody {
    left: u64,
    // None once everything is in memory.
    pieces: Option<Box<dyn Pieces>>,
    // What is in memory already.
    rest: Bytes,
    // Only polled through `&mut self`.
    pending: Option<NextPiece>,
    reason: Reason,
}

impl StreamBody {
    pub(crate) fn new(payload: Payload, reason: Reason) -> Self {
        let left = payload.length();
        let (pieces, rest) = match payload {
            Payload::Whole(bytes) => (None, bytes),
            Payload::Stream { pieces, .. } => (Some(pieces), Bytes::new()),
        };
        Self { left, pieces, rest, pending: None, reason }
    }

    /// Bytes that are still to be sent.
    pub(crate) fn length(&self) -> u64 {
        self.left
    }

    fn give(&mut self, piece: Bytes) -> Frame<Bytes> {
        self.left -= piece.len() as u64;
        Frame::data(piece)
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
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.give(rest))));
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
            Poll::Ready(Ok(piece)) => Poll::Ready(Some(Ok(self.give(piece)))),
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

/// An answer's body, in pieces as they arrive, cut off when it stalls. Its connection is used again only if it is read to its
/// end.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    link: Option<Box<Link>>,
    wire: Wire,
    operation: &'static str,
    target: String,
    // None where the answer did not announce it.
    left: Option<u64>,
}

impl Body {
    pub(crate) fn new(
        incoming: Incoming,
        link: Box<Link>,
        wire: Wire,
        target: String,
        operation: &'static str,
        left: Option<u64>,
    ) -> Self {
        let mut body = Self { incoming, link: Some(link), wire, operation, target, left };
        if body.incoming.is_end_stream() {
            body.end();
        }
        body
    }

    /// The next piece; `None` once the announced length has arrived.
    ///
    /// # Errors
    /// [`Error::Answer`] when the body ends early, [`Error::Http`] when it stalls or the connection breaks.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(link) = &mut self.link else {
                return match self.left {
                    None | Some(0) => Ok(None),
                    Some(left) => Err(self.wrong(format!("the answer was cut short, {left} bytes are missing"))),
                };
            };
            let incoming = &mut self.incoming;
            let frame = poll_fn(|context| link.poll(context, |context| Pin::new(&mut *incoming).poll_frame(context))).await?;
            match frame {
                None => self.end(),
                Some(Err(error)) => {
                    let host = self.target.clone();
                    return Err(http::Error::Interrupted { host, message: error.to_string() }.into());
                }
                Some(Ok(frame)) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    if let Some(left) = &mut self.left {
                        let Some(rest) = left.checked_sub(piece.len() as u64) else {
                            return Err(self.wrong("the answer is longer than announced".to_owned()));
                        };
                        *left = rest;
                    }
                    if self.incoming.is_end_stream() {
                        self.end();
                    }
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// The whole body, as far as it is not longer than `most` bytes.
    ///
    /// # Errors
    /// As [`Self::piece`], and [`Error::Answer`] when it is longer.
    pub async fn collect(mut self, most: usize) -> Result<Bytes, Error> {
        let Some(first) = self.piece().await? else { return Ok(Bytes::new()) };
        if self.link.is_none() && first.len() <= most {
            return Ok(first);
        }
        let mut all = first.to_vec();
        while let Some(piece) = self.piece().await? {
            all.extend_from_slice(&piece);
            if all.len() > most {
                return Err(self.wrong(format!("the answer is longer than {most} bytes")));
            }
        }
        Ok(all.into())
    }

    /// Nothing more comes: the connection is free.
    fn end(&mut self) {
        if let Some(link) = self.link.take() {
            self.wire.give_back(link);
        }
    }

    fn wrong(&self, message: String) -> Error {
        Error::Answer { operation: self.operation, target: self.target.clone(), message }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt as _;

    use super::{NextPiece, Payload, Pieces, StreamBody};

    struct Same(Bytes);

    impl Pieces for Same {
        fn next(&mut self) -> NextPiece {
            let piece = self.0.clone();
            Box::pin(async move { Ok(piece) })
        }
    }

    #[tokio::test]
    async fn pieces_go_out_as_they_come_until_the_length_is_reached() {
        let bytes = Bytes::from(vec![7; 100]);
        let whole = Payload::Whole(bytes.clone());
        let stream = Payload::Stream { length: 200, pieces: Box::new(Same(bytes.clone())) };
        let short = Payload::Stream { length: 150, pieces: Box::new(Same(bytes)) };
        for (payload, expected) in [(whole, vec![Some(100)]), (stream, vec![Some(100); 2]), (short, vec![Some(100), None])] {
            let mut body = StreamBody::new(payload, super::Reason::default());
            let mut lengths = Vec::new();
            while let Some(frame) = body.frame().await {
                let length = frame.ok().map(|frame| frame.into_data().unwrap().len());
                lengths.push(length);
                if length.is_none() {
                    break;
                }
            }
            assert_eq!(lengths, expected);
        }
    }
}
