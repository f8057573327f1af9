//! One file up: small ones from memory, larger ones streamed, the largest in parts that are sent at the same time.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rustix::buffer::spare_capacity;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::copy::budget::{PIECE, STREAM};
use crate::copy::digest::{Check, Digester, Value};
use crate::copy::error::Error;
use crate::copy::parts::{Division, Part};
use crate::copy::run::{Done, Meter, Run, blocking};
use crate::obs::body::{NextPiece, Payload, Pieces};
use crate::obs::bytes::PutOptions;
use crate::obs::multipart::Part as SentPart;
use crate::obs::{self, ObsUrl};

/// An upload that is given up is aborted at the store, but nobody waits longer than this for it.
const ABORT: Duration = Duration::from_secs(5);

/// Sends a file; `size` is what the scan saw.
pub(super) async fn file(run: &Arc<Run>, source: &Path, url: &ObsUrl, size: u64) -> Result<Done, Error> {
    let whole = size <= PIECE as u64;
    let permit = run.budget.permit(if whole { size } else { STREAM }).await;
    if run.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    let division = Division::new(size, run.options.part_size);
    let (path, verify, cancel) = (source.to_owned(), run.options.verify, run.cancel.clone());
    let opened = blocking(move || {
        let source = Source::open(path)?;
        if source.size != size {
            return Err(source.changed());
        }
        let mut digester = Digester::for_upload(verify);
        if whole {
            let bytes = source.read_whole()?;
            digester.update(&bytes);
            return Ok((Arc::new(source), bytes, digester.finish()));
        }
        // Read twice: with the MD5 sent ahead, the store refuses wrong bytes before they take the place of an object.
        let value = match digester {
            Digester::Md5(_) if !division.is_divided() => source.digest(digester, &cancel)?,
            _ => Value::Nothing,
        };
        Ok((Arc::new(source), Bytes::new(), value))
    });
    let (source, bytes, value) = opened.await?;
    let check = if division.is_divided() {
        drop(permit);
        in_parts(run, &source, url, division).await?
    } else {
        let sent = async {
            match whole {
                true => from_memory(run, url, &bytes, value).await,
                false => {
                    let part = Part { number: 1, offset: 0, length: size };
                    stream(run, &source, url, part, Destined::Object(value)).await.map(|(_, check)| check)
                }
            }
        };
        run.unless_stopped(sent).await??
    };
    Ok(Done::File { bytes: size, check })
}

/// Makes the object that stands for an empty folder. A bucket itself is there or not; nothing is put.
pub(super) async fn marker(run: &Arc<Run>, url: &ObsUrl) -> Result<Done, Error> {
    if url.key.is_empty() {
        run.unless_stopped(run.client.head_bucket(&url.bucket)).await??;
        return Ok(Done::Folder);
    }
    let permit = run.budget.permit(0).await;
    let value = Digester::for_upload(run.options.verify).finish();
    let sent = run.unless_stopped(from_memory(run, url, &Bytes::new(), value)).await?;
    drop(permit);
    match sent {
        // There are no bytes that could be wrong.
        Err(Error::Unverifiable { .. }) => Ok(Done::Folder),
        sent => sent.map(|_| Done::Folder),
    }
}

async fn from_memory(run: &Run, url: &ObsUrl, bytes: &Bytes, value: Value) -> Result<Check, Error> {
    let options = PutOptions { content_md5: content_md5(value), part: None };
    let target = url.to_string();
    let check = run
        .client
        .retrying(async |_| {
            let tags = run.client.put_once(url, Payload::Whole(bytes.clone()), &options).await?;
            value.compare(run.options.verify, "put", &target, &tags)
        })
        .await?;
    let meter = Meter::new(run);
    meter.add(bytes.len());
    meter.keep();
    Ok(check)
}

/// A digest that is known before the request, so that the store can refuse wrong bytes before it keeps them.
fn content_md5(value: Value) -> Option<String> {
    match value {
        Value::Md5(digest) => Some(STANDARD.encode(digest)),
        _ => None,
    }
}

/// What a stream becomes.
#[derive(Clone, Copy)]
enum Destined<'a> {
    /// A whole object; its digest where it is known already.
    Object(Value),
    /// A part of this upload.
    Part(&'a str),
}

/// Streams a part, or the whole file as one object. Returns its ETag.
async fn stream(
    run: &Run,
    source: &Arc<Source>,
    url: &ObsUrl,
    part: Part,
    destined: Destined<'_>,
) -> Result<(String, Check), Error> {
    let (known, options) = match destined {
        Destined::Object(known) => (known, PutOptions { content_md5: content_md5(known), part: None }),
        Destined::Part(upload) => {
            (Value::Nothing, PutOptions { content_md5: None, part: Some((part.number, upload.to_owned())) })
        }
    };
    let target = url.to_string();
    let verify = run.options.verify;
    let sent = run
        .client
        .retrying(async |_| {
            let meter = Meter::new(run);
            let digester = match known {
                Value::Nothing => Digester::for_upload(verify),
                _ => Digester::Nothing,
            };
            let digester = Arc::new(Mutex::new(digester));
            let reader = Reader {
                source: Arc::clone(source),
                offset: part.offset,
                left: part.length,
                digester: Arc::clone(&digester),
                meter: Arc::clone(&meter),
            };
            let payload = Payload::Stream { length: part.length, pieces: Box::new(reader) };
            let tags = match run.client.put_once(url, payload, &options).await {
                Err(obs::Error::Source(_)) => return Err(source.changed()),
                sent => sent?,
            };
            let digester = std::mem::replace(&mut *digester.lock().unwrap_or_else(PoisonError::into_inner), Digester::Nothing);
            let value = match digester.finish() {
                Value::Nothing => known,
                streamed => streamed,
            };
            let check = value.compare(verify, "put", &target, &tags)?;
            meter.keep();
            Ok::<_, Error>((tags.etag, check))
        })
        .await;
    if matches!(destined, Destined::Object(_)) && sent.as_ref().is_err_and(is_corrupt) {
        // What arrived is known to be wrong: better no object than that one.
        let _ = tokio::time::timeout(ABORT, run.client.delete(url)).await;
    }
    sent
}

/// The store's own CRC of the object proves it. An ETag does not: what it is depends on the store.
fn is_corrupt(error: &Error) -> bool {
    match error {
        Error::Exhausted { source, .. } => is_corrupt(source),
        Error::Store(obs::Error::Digest { digest, .. }) => *digest == "CRC",
        _ => false,
    }
}

async fn in_parts(run: &Arc<Run>, source: &Arc<Source>, url: &ObsUrl, division: Division) -> Result<Check, Error> {
    let upload: Arc<str> = run.unless_stopped(run.client.create_multipart(url)).await??.into();
    let mut tasks = JoinSet::new();
    let sent = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        sent = send_parts(run, &mut tasks, source, url, division, &upload) => sent,
    };
    // No part may be on its way when the upload is aborted: it would stay at the store.
    tasks.shutdown().await;
    let completed = match sent {
        Ok((parts, check)) => match source.check_unchanged() {
            Ok(()) => match run.unless_stopped(run.client.complete_multipart(url, &upload, &parts)).await {
                Ok(completed) => completed.map(|_| check).map_err(Error::from),
                Err(stopped) => Err(stopped),
            },
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    if completed.is_err()
        && let Ok(Err(error)) = tokio::time::timeout(ABORT, run.client.abort_multipart(url, &upload)).await
    {
        tracing::debug!(%error, %url, "an upload could not be aborted");
    }
    completed
}

type Sent = Result<(SentPart, Check), Error>;

async fn send_parts(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Sent>,
    source: &Arc<Source>,
    url: &ObsUrl,
    division: Division,
    upload: &Arc<str>,
) -> Result<(Vec<SentPart>, Check), Error> {
    let mut sent = Vec::new();
    let mut check = Check::Md5;
    let mut take = |outcome: Result<Sent, tokio::task::JoinError>| {
        let (part, part_check) = outcome.map_err(|error| Error::local("send", &source.path, io::Error::other(error)))??;
        check = check.weaker(part_check);
        sent.push(part);
        Ok::<_, Error>(())
    };
    for part in division.parts() {
        let permit = run.budget.permit(STREAM).await;
        while let Some(outcome) = tasks.try_join_next() {
            take(outcome)?;
        }
        let (run, source, url, upload) = (Arc::clone(run), Arc::clone(source), url.clone(), Arc::clone(upload));
        tasks.spawn(async move {
            let (etag, check) = stream(&run, &source, &url, part, Destined::Part(&upload)).await?;
            drop(permit);
            Ok((SentPart { number: part.number, etag, size: part.length }, check))
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    sent.sort_by_key(|part| part.number);
    Ok((sent, check))
}

/// A file being read, and what it was when it was opened.
#[derive(Debug)]
struct Source {
    file: File,
    path: PathBuf,
    size: u64,
    modified: (i64, i64),
}

impl Source {
    fn open(path: PathBuf) -> Result<Self, Error> {
        let failed = |error| Error::local("read", &path, error);
        let file = File::open(&path).map_err(failed)?;
        let status = file.metadata().map_err(failed)?;
        if !status.is_file() {
            return Err(failed(io::Error::other("it is not a file")));
        }
        Ok(Self { file, size: status.len(), modified: (status.mtime(), status.mtime_nsec()), path })
    }

    fn changed(&self) -> Error {
        Error::Changed(self.path.display().to_string())
    }

    /// Size and time are what they were when the file was opened.
    fn check_unchanged(&self) -> Result<(), Error> {
        let status = self.file.metadata().map_err(|error| Error::local("read", &self.path, error))?;
        let same = status.len() == self.size && (status.mtime(), status.mtime_nsec()) == self.modified;
        if same { Ok(()) } else { Err(self.changed()) }
    }

    fn read_whole(&self) -> Result<Bytes, Error> {
        let size = usize::try_from(self.size).map_err(|_| self.changed())?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => Error::local("read", &self.path, error),
        })?;
        self.check_unchanged()?;
        Ok(bytes.into())
    }

    /// The digest of the whole file, piece by piece.
    fn digest(&self, mut digester: Digester, cancel: &CancellationToken) -> Result<Value, Error> {
        let mut offset = 0;
        while offset < self.size {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let piece = self.read_piece(offset, PIECE).map_err(|error| Error::local("read", &self.path, error))?;
            if piece.is_empty() {
                return Err(self.changed());
            }
            digester.update(&piece);
            offset += piece.len() as u64;
        }
        Ok(digester.finish())
    }

    /// Up to `most` bytes at a position; the buffer is not zeroed first.
    fn read_piece(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let mut piece = Vec::with_capacity(most);
        while piece.len() < most {
            let position = offset + piece.len() as u64;
            let read = match rustix::io::pread(&self.file, spare_capacity(&mut piece), position) {
                Err(rustix::io::Errno::INTR) => continue,
                read => read?,
            };
            if read == 0 {
                break;
            }
        }
        piece.truncate(most);
        Ok(piece.into())
    }
}

/// Reads a part piece by piece and digests it on the way; the last piece is only given if the file did not change meanwhile.
struct Reader {
    source: Arc<Source>,
    offset: u64,
    left: u64,
    digester: Arc<Mutex<Digester>>,
    meter: Arc<Meter>,
}

impl Pieces for Reader {
    fn next(&mut self) -> NextPiece {
        let length = usize::try_from(self.left.min(PIECE as u64)).unwrap_or(PIECE);
        let offset = self.offset;
        self.offset += length as u64;
        self.left -= length as u64;
        let (source, digester, meter) = (Arc::clone(&self.source), Arc::clone(&self.digester), Arc::clone(&self.meter));
        let is_last = self.left == 0;
        let reading = tokio::task::spawn_blocking(move || {
            let piece = source.read_piece(offset, length).map_err(|error| error.to_string())?;
            if piece.len() < length || (is_last && source.check_unchanged().is_err()) {
                return Err("it changed while it was read".to_owned());
            }
            digester.lock().unwrap_or_else(PoisonError::into_inner).update(&piece);
            meter.add(piece.len());
            Ok(piece)
        });
        Box::pin(async move { reading.await.unwrap_or_else(|error| Err(error.to_string())) })
    }
}
