//! One file up: small ones from memory, larger ones streamed, the largest in parts that are sent at the same time.

mod parts;
mod pool;
mod reading;
mod resume;
pub(super) mod small;
mod source;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::copy::budget::{PIECE, Permit, STREAM};
use crate::copy::digest::{Check, Digester, Value};
use crate::copy::error::Error;
use crate::copy::meter::{Meter, blocking};
use crate::copy::parts::{Division, Part};
use crate::copy::run::{Done, Run};
use crate::copy::update::{Doubt, Verdict};
use crate::copy::upload::parts::in_parts;
pub(super) use crate::copy::upload::reading::Reading;
use crate::copy::upload::source::Source;
use crate::copy::upload::stream::{Destined, IN_MEMORY, ahead, remove_if_corrupt, stream};
use crate::obs::body::Payload;
use crate::obs::bytes::{PutOptions, Tags};
use crate::obs::{self, ObsUrl};

/// An upload that is given up is aborted at the store, but nobody waits longer than this for it.
const ABORT: Duration = Duration::from_secs(5);

/// Sends a file; `size` is what the scan saw.
pub(super) async fn file(run: &Arc<Run>, source: &Path, url: &ObsUrl, size: u64, doubt: Option<Doubt>) -> Result<Done, Error> {
    if let Some(doubt) = doubt {
        let permit = run.budget.permit(0).await;
        if let Verdict::Leave(reason) = run.unless_stopped(doubt.look_up(&run.client, url)).await?? {
            return Ok(Done::Left { bytes: size, reason });
        }
        drop(permit);
        run.found(size);
    }
    let whole = size <= PIECE as u64;
    let held = if whole { size } else { size.next_multiple_of(PIECE as u64) };
    let permit = run.permit(if size <= IN_MEMORY { held } else { STREAM }).await?;
    let sent = if whole {
        let loaded = small::load(run, source.to_owned(), size).await?;
        let sending = std::pin::pin!(async {
            run.take_rate(loaded.bytes.len()).await;
            from_memory(run, url, &loaded).await
        });
        run.cancel.run_until_cancelled(sending).await.ok_or(Error::Cancelled)?
    } else {
        // Boxed, so that small files do not carry its state.
        Box::pin(larger(run, source, url, size, permit)).await
    };
    match sent {
        Err(error) if is_kept(run, &error) => Ok(Done::Left { bytes: size, reason: "exists" }),
        sent => sent.map(|check| Done::File { bytes: size, check }),
    }
}

/// An object came to be after the scan, and was left alone.
fn is_kept(run: &Run, error: &Error) -> bool {
    run.keeps_existing() && error.store().is_some_and(obs::Error::is_changed)
}

/// What the store says of an object of which it now says that it exists, if that is what an earlier attempt sent: its answer
/// was lost.
async fn sent_before(run: &Run, url: &ObsUrl, attempt: u32, value: Value, failed: obs::Error) -> Result<Tags, Error> {
    if attempt > 1
        && failed.is_changed()
        && let Value::Md5(digest) = value
        && let Ok(info) = run.client.head(url).await
        && info.etag == hex::encode(digest)
    {
        return Ok(Tags { etag: info.etag, ..Tags::default() });
    }
    Err(failed.into())
}

/// Sends a file that is not held in memory.
async fn larger(run: &Arc<Run>, source: &Path, url: &ObsUrl, size: u64, permit: Permit) -> Result<Check, Error> {
    let division = Division::new(size, run.options.part_size);
    let path = source.to_owned();
    let opened = blocking(move || {
        let source = Source::open(path)?;
        if source.size != size {
            return Err(source.changed());
        }
        Ok(Arc::new(source))
    });
    let source = opened.await?;
    if division.is_divided() {
        drop(permit);
        return in_parts(run, &source, url, division).await;
    }
    let part = Part { number: 1, offset: 0, length: size };
    let sent = async {
        let (pieces, value) = ahead(run, &source).await?;
        let destined = if pieces.is_empty() { Destined::Object(value) } else { Destined::Held(value, &pieces) };
        stream(run, &source, url, part, destined).await.map(|(_, _, check)| check)
    };
    run.unless_stopped(sent).await?
}

/// Makes the object that stands for an empty folder. A bucket itself is there or not; nothing is put.
pub(super) async fn marker(run: &Arc<Run>, url: &ObsUrl) -> Result<Done, Error> {
    if url.key.is_empty() {
        run.unless_stopped(run.client.head_bucket(&url.bucket)).await??;
        return Ok(Done::Folder);
    }
    let permit = run.permit(0).await?;
    let value = Digester::for_upload(run.options.verify).finish();
    let loaded = small::Loaded { bytes: Bytes::new(), value, metadata: Vec::new() };
    let sent = run.unless_stopped(from_memory(run, url, &loaded)).await?;
    drop(permit);
    match sent {
        // There are no bytes that could be wrong.
        Err(Error::Unverifiable { .. }) => Ok(Done::Folder),
        Err(error) if is_kept(run, &error) => Ok(Done::Folder),
        sent => sent.map(|_| Done::Folder),
    }
}

async fn from_memory(run: &Run, url: &ObsUrl, loaded: &small::Loaded) -> Result<Check, Error> {
    let small::Loaded { bytes, value, metadata } = loaded;
    let made = AtomicBool::new(false);
    let target = url.to_string();
    let check = run
        .client
        .retrying(async |attempt| {
            let options = whole_options(*value, metadata, &made);
            let tags = match run.client.put_once(url, Payload::Whole(bytes.clone()), &options).await {
                Err(error) => Box::pin(sent_before(run, url, attempt, *value, error)).await?,
                Ok(tags) => tags,
            };
            made.store(true, Ordering::Relaxed);
            value.compare(run.options.verify, "put", &target, &tags)
        })
        .await;
    remove_if_corrupt(run, url, &check).await;
    let check = check?;
    let meter = Meter::new(run);
    meter.add(bytes.len());
    meter.keep();
    Ok(check)
}

/// How a whole object is put; `made` says that an earlier attempt made it, though not as it should be.
fn whole_options(value: Value, metadata: &[(&'static str, String)], made: &AtomicBool) -> PutOptions {
    let replaces = made.load(Ordering::Relaxed);
    PutOptions { content_md5: content_md5(value), part: None, replaces, metadata: metadata.to_owned() }
}

/// A digest that is known before the request, so that the store can refuse wrong bytes before it keeps them.
fn content_md5(value: Value) -> Option<String> {
    match value {
        Value::Md5(digest) => Some(STANDARD.encode(digest)),
        _ => None,
    }
}
