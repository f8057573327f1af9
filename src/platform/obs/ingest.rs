//! Takes the body of a request into a temporary file, digesting it on the way, in constant memory.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use s3s::dto::StreamingBlob;
use s3s::{S3ErrorCode, StdError};
use tokio::task::JoinHandle;

use super::digest::{Digester, Digests, Expected};
use super::error::Failure;
use super::files::TempFile;
use super::store::Store;

/// Bodies up to this size are written without a detour over the pool of blocking threads: it costs more than the write.
const INLINE: usize = 128 * 1024;

/// Larger ones are handed over in blocks of this size, one being written while the next arrives.
const BLOCK: usize = 1024 * 1024;

/// Receives `body` and compares it with what the request says about it.
///
/// # Errors
/// `BadDigest`, `IncompleteBody`, a broken connection or a full disk. Nothing is left behind.
pub(super) async fn receive(
    store: &Store,
    body: Option<StreamingBlob>,
    expected: Expected,
) -> Result<(TempFile, Digests), Failure> {
    let temp = store.files.temp();
    let mut idle = Some(Writer { file: None, digester: expected.digester() });
    let mut writing: Option<JoinHandle<Result<Writer, Failure>>> = None;
    let mut block = Vec::new();
    let mut length = 0;
    let mut body = body;
    loop {
        let chunk = match &mut body {
            Some(body) => body.next().await.transpose().map_err(|error| broken(&error))?,
            None => None,
        };
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            length += chunk.len();
            block.push(chunk);
        }
        if length < BLOCK && !ended {
            continue;
        }
        if ended
            && length <= INLINE
            && let Some(writer) = &mut idle
        {
            writer.write(temp.path(), &block)?;
            break;
        }
        let mut writer = free(&mut idle, &mut writing).await?;
        let path = temp.path().to_owned();
        let full = std::mem::take(&mut block);
        length = 0;
        writing = Some(tokio::task::spawn_blocking(move || {
            writer.write(&path, &full)?;
            Ok(writer)
        }));
        if ended {
            break;
        }
    }
    let writer = free(&mut idle, &mut writing).await?;
    let digests = writer.digester.finish();
    expected.check(&digests)?;
    Ok((temp, digests))
}

/// The writer, once it has nothing to do.
async fn free(idle: &mut Option<Writer>, writing: &mut Option<JoinHandle<Result<Writer, Failure>>>) -> Result<Writer, Failure> {
    match writing.take() {
        Some(task) => task.await?,
        None => Ok(idle.take().expect("the writer is idle unless it is writing")),
    }
}

struct Writer {
    file: Option<File>,
    digester: Digester,
}

impl Writer {
    fn write(&mut self, path: &Path, block: &[Bytes]) -> Result<(), Failure> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(File::create_new(path)?),
        };
        for bytes in block {
            self.digester.update(bytes);
            file.write_all(bytes)?;
        }
        Ok(())
    }
}

/// What to answer when the body cannot be read to its end. The framework's errors can be told apart by their text only.
fn broken(error: &StdError) -> Failure {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        return Failure::answer(S3ErrorCode::BadDigest, "The provided x-amz-content-sha256 does not match what was received.");
    }
    if text.contains("SignatureMismatch") {
        return S3ErrorCode::SignatureDoesNotMatch.into();
    }
    Failure::answer(S3ErrorCode::IncompleteBody, format!("The body ended early or is not well formed: {text}"))
}
