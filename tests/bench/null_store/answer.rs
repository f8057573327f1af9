//! Bodies of answers: a text, or as many zeros as a range has, at the pace a connection is allowed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Zeros handed out at a time; large, because every hand-over costs.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// Zeros handed out at a time where the pace is limited, so that it is even.
const PACED: u64 = 64 << 10;

pub(crate) enum Answer {
    Text(Option<Bytes>),
    Zeros { left: u64, pace: Option<Pace> },
}

/// Holds a transfer back so that it stays under a rate.
pub(crate) struct Pace {
    started: Instant,
    bytes: u64,
    bytes_per_second: f64,
    sleep: Pin<Box<Sleep>>,
}

impl Answer {
    pub(crate) fn empty() -> Self {
        Self::Text(None)
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Text(Some(text.into()).filter(|text: &Bytes| !text.is_empty()))
    }

    pub(crate) fn zeros(bytes: u64, bytes_per_second: Option<f64>) -> Self {
        Self::Zeros { left: bytes, pace: bytes_per_second.map(Pace::new) }
    }
}

impl Pace {
    pub(crate) fn new(bytes_per_second: f64) -> Self {
        let started = Instant::now();
        Self { started, bytes: 0, bytes_per_second, sleep: Box::pin(tokio::time::sleep_until(started)) }
    }

    /// Counts bytes; what follows has to wait until they are due.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        let due = std::time::Duration::from_secs_f64(self.bytes as f64 / self.bytes_per_second);
        self.sleep.as_mut().reset(self.started + due);
    }

    pub(crate) async fn wait(&mut self) {
        self.sleep.as_mut().await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(context)
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Zeros { left: 0, .. } => Poll::Ready(None),
            Self::Zeros { left, pace } => {
                let mut bytes = (*left).min(ZEROS.len() as u64);
                if let Some(pace) = pace {
                    ready!(pace.poll(context));
                    bytes = bytes.min(PACED);
                    pace.add(bytes);
                }
                *left -= bytes;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS[..bytes as usize])))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Text(None) | Self::Zeros { left: 0, .. })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            Self::Zeros { left, .. } => *left,
        })
    }
}
