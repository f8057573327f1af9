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
use crate::copy::upload::parts::in_parts;
pub(super) use crate::copy::upload::reading::Reading;
use crate::copy::upload::source::Source;
use crate::copy::upload::stream::{Destined, IN_MEMORY, ahead, remove_if_corrupt, stream};
use crate::obs::ObsUrl;
use crate::obs::body::Payload;
use crate::obs::bytes::PutOptions;

/// An upload that is given up is aborted at the store, but nobody waits longer than this for it.
const ABORT: Duration = Duration::from_secs(5);

/// Sends a file; `size` is what the scan saw.
pub(super) async fn file(run: &Arc<Run>, source: &Path, url: &ObsUrl, size: u64) -> Result<Done, Error> {
    let whole = size <= PIECE as u64;
    let held = if whole { size } else { size.next_multiple_of(PIECE as u64) };
    let permit = run.permit(if size <= IN_MEMORY { held } else { STREAM }).await?;
    let check = if whole {
        let loaded = small::load(run, source.to_owned(), size).await?;
        let sending = std::pin::pin!(async {
            run.take_rate(loaded.bytes.len()).await;
            from_memory(run, url, &loaded.bytes, loaded.value).await
        });
        run.cancel.run_until_cancelled(sending).await.ok_or(Error::Cancelled)??
    } else {
        // Boxed, so that small files do not carry its state.
        Box::pin(larger(run, source, url, size, permit)).await?
    };
    Ok(Done::File { bytes: size, check })
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
        .await;
    remove_if_corrupt(run, url, &check).await;
    let check = check?;
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
