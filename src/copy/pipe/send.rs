//! A stream up.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::copy::budget::Permit;
use crate::copy::digest::{Check, Digester, Value};
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::meter::{Meter, blocking};
use crate::copy::parts::{LARGEST_PART, MOST_PARTS, SMALLEST_PART};
use crate::copy::pipe::NAME;
use crate::copy::run::{Done, Run};
use crate::obs::ObsUrl;
use crate::obs::body::Payload;
use crate::obs::bytes::PutOptions;
use crate::obs::multipart::Part;

/// Size of the first parts: four of them fit into the usual memory.
const FIRST: u64 = 6 * 1024 * 1024;

/// So many parts have one size, the next so many twice that.
const STEP: u32 = 1000;

/// An upload that is given up is aborted at the store, but nobody waits longer than this for it.
const ABORT: Duration = Duration::from_secs(5);

/// Size of a part, numbered from 1.
fn part_size(number: u32, first: Option<u64>) -> u64 {
    let first = first.unwrap_or(FIRST).clamp(SMALLEST_PART, LARGEST_PART);
    let doublings = (number.max(1) - 1) / STEP;
    first.checked_mul(1 << doublings.min(30)).map_or(LARGEST_PART, |size| size.min(LARGEST_PART))
}

/// What was read, its digest, and leave to hold it.
struct Piece {
    bytes: Bytes,
    value: Value,
    _permit: Permit,
}

/// Reads parts off the async threads; the reader is lent to each read.
struct Source<R> {
    reader: Option<R>,
    number: u32,
}

impl<R: Read + Send + 'static> Source<R> {
    /// The next part, shorter than its size only at the end of the stream.
    async fn next(&mut self, run: &Run, size: u64) -> Result<Piece, Error> {
        self.number += 1;
        let permit = run.unless_stopped(run.budget.permit(size)).await?;
        let verify = run.options.verify;
        let Some(mut reader) = self.reader.take() else {
            return Err(Error::local("read", NAME, std::io::Error::other("an earlier read failed")));
        };
        let reading = blocking(move || {
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            let read = reader.by_ref().take(size).read_to_end(&mut bytes);
            read.map_err(|error| Error::local("read", NAME, error))?;
            let mut digester = Digester::for_upload(verify);
            digester.update(&bytes);
            Ok((reader, Bytes::from(bytes), digester.finish()))
        });
        let (reader, bytes, value) = run.unless_stopped(reading).await??;
        self.reader = Some(reader);
        run.events.event(Event::Found { bytes: bytes.len() as u64 });
        Ok(Piece { bytes, value, _permit: permit })
    }
}

pub(super) async fn stream<R: Read + Send + 'static>(run: &Arc<Run>, reader: R, url: &ObsUrl) -> Result<Done, Error> {
    let mut source = Source { reader: Some(reader), number: 0 };
    let size = part_size(1, run.options.part_size);
    let first = source.next(run, size).await?;
    if (first.bytes.len() as u64) < size {
        let bytes = first.bytes.len() as u64;
        let (_, check) = run.unless_stopped(put(run, url, &first, None)).await??;
        return Ok(Done::File { bytes, check });
    }
    let upload: Arc<str> = run.unless_stopped(run.client.create_multipart(url)).await??.into();
    let mut tasks = JoinSet::new();
    let sent = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        sent = send_parts(run, &mut tasks, source, first, url, &upload) => sent,
    };
    // No part may be on its way when the upload is aborted: it would stay at the store.
    tasks.shutdown().await;
    let completing = async {
        let (parts, check) = sent?;
        run.client.complete_multipart(url, &upload, &parts).await?;
        Ok(Done::File { bytes: parts.iter().map(|part| part.size).sum(), check })
    };
    let completed = match run.unless_stopped(completing).await {
        Ok(completed) => completed,
        Err(stopped) => Err(stopped),
    };
    if completed.is_err()
        && let Ok(Err(error)) = tokio::time::timeout(ABORT, run.client.abort_multipart(url, &upload)).await
    {
        tracing::debug!(%error, %url, "an upload could not be aborted");
    }
    completed
}

type Sent = Result<(Part, Check), Error>;

async fn send_parts<R: Read + Send + 'static>(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Sent>,
    mut source: Source<R>,
    first: Piece,
    url: &ObsUrl,
    upload: &Arc<str>,
) -> Result<(Vec<Part>, Check), Error> {
    let mut sent: Vec<Part> = Vec::new();
    let mut weakest = Check::Md5;
    let mut take = |outcome: Result<Sent, tokio::task::JoinError>| {
        let (part, check) = outcome.map_err(|error| Error::local("send", NAME, std::io::Error::other(error)))??;
        weakest = weakest.weaker(check);
        sent.push(part);
        Ok::<_, Error>(())
    };
    let mut piece = first;
    loop {
        let number = source.number;
        if u64::from(number) > MOST_PARTS {
            let message = format!("the stream has more than {MOST_PARTS} parts of the size asked for; ask for larger parts");
            return Err(Error::Plan(message));
        }
        let is_last = (piece.bytes.len() as u64) < part_size(number, run.options.part_size);
        if !piece.bytes.is_empty() {
            let (run, url, upload) = (Arc::clone(run), url.clone(), Arc::clone(upload));
            tasks.spawn(async move { put(&run, &url, &piece, Some((number, &upload))).await });
        }
        if is_last {
            break;
        }
        // A part that failed ends the reading at once, however long the next one lets itself be waited for.
        let size = part_size(number + 1, run.options.part_size);
        let mut next = std::pin::pin!(source.next(run, size));
        piece = loop {
            tokio::select! {
                biased;
                Some(outcome) = tasks.join_next(), if !tasks.is_empty() => take(outcome)?,
                next = &mut next => break next?,
            }
        };
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    sent.sort_by_key(|part| part.number);
    Ok((sent, weakest))
}

/// Sends a piece as the object, or as a part of an upload. The store checks its digest before it keeps it.
async fn put(run: &Run, url: &ObsUrl, piece: &Piece, part: Option<(u32, &str)>) -> Sent {
    let content_md5 = match piece.value {
        Value::Md5(digest) => Some(STANDARD.encode(digest)),
        _ => None,
    };
    let part = part.map(|(number, upload)| (number, upload.to_owned()));
    let number = part.as_ref().map_or(1, |(number, _)| *number);
    let options = PutOptions { content_md5, part, ..PutOptions::default() };
    let target = url.to_string();
    let (etag, check) = run
        .client
        .retrying(async |_| {
            run.take_rate(piece.bytes.len()).await;
            let tags = run.client.put_once(url, Payload::Whole(piece.bytes.clone()), &options).await?;
            let check = piece.value.compare(run.options.verify, "put", &target, &tags)?;
            Ok::<_, Error>((tags.etag, check))
        })
        .await?;
    let meter = Meter::new(run);
    meter.add(piece.bytes.len());
    meter.keep();
    Ok((Part { number, etag, size: piece.bytes.len() as u64 }, check))
}

#[cfg(test)]
mod tests {
    use super::{FIRST, LARGEST_PART, MOST_PARTS, part_size};

    #[test]
    fn parts_grow_so_that_any_stream_fits() {
        let sizes: Vec<u64> = (1..=u32::try_from(MOST_PARTS).unwrap()).map(|number| part_size(number, None)).collect();
        assert!(sizes.is_sorted() && sizes[0] == FIRST && sizes[999] == FIRST && sizes[1000] == 2 * FIRST);
        assert!(sizes.iter().sum::<u64>() >= 5 << 40, "5 TiB");
        assert!(sizes.iter().all(|size| *size <= LARGEST_PART));
        assert_eq!(part_size(10_000, Some(u64::MAX)), LARGEST_PART);
        assert_eq!(part_size(1, Some(64 << 20)), 64 << 20);
    }
}
