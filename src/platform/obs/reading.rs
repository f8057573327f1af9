//! Streams a range of a file, one block ahead of the client, in constant memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use tokio::task::JoinHandle;

/// Ranges up to this size are read at once, without a detour over the pool of blocking threads.
const INLINE: u64 = 128 * 1024;

/// Larger ones are read in blocks of this size.
const BLOCK: u64 = 512 * 1024;

/// The bytes `start..end` of `file`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn stream(file: File, start: u64, end: u64) -> io::Result<StreamingBlob> {
    if end - start <= INLINE {
        return Ok(StreamingBlob::from(s3s::Body::from(read_block(&file, start, end)?)));
    }
    let mut body = FileBody { file: Arc::new(file), next: start, end, left: end - start, reading: None };
    body.read_ahead();
    Ok(StreamingBlob::new(body))
}

/// Reads `start..end` whole.
fn read_block(file: &File, start: u64, end: u64) -> io::Result<Bytes> {
    let length = usize::try_from(end - start).map_err(io::Error::other)?;
    let mut block = vec![0; length];
    file.read_exact_at(&mut block, start)?;
    Ok(block.into())
}

struct FileBody {
    file: Arc<File>,
    /// First byte not yet asked for.
    next: u64,
    end: u64,
    /// Bytes not yet handed out.
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    fn read_ahead(&mut self) {
        if self.next == self.end {
            return;
        }
        let (start, end) = (self.next, self.end.min(self.next + BLOCK));
        let file = Arc::clone(&self.file);
        self.reading = Some(tokio::task::spawn_blocking(move || read_block(&file, start, end)));
        self.next = end;
    }
}

impl Stream for FileBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let block = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        match block {
            Ok(Ok(block)) => {
                self.left -= block.len() as u64;
                self.read_ahead();
                Poll::Ready(Some(Ok(block)))
            }
            Ok(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            Err(error) => Poll::Ready(Some(Err(error.into()))),
        }
    }
}

impl ByteStream for FileBody {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left).map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
