//! From object to object: the store copies, no byte comes here.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::channel;

use crate::copy::digest::{Check, Verify};
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::meter::Meter;
use crate::copy::parts::Division;
use crate::copy::remote_parts::in_parts;
use crate::copy::run::{Done, Run, refuse};
use crate::copy::scan::{self, Item, WAITING};
use crate::copy::summary::Summary;
use crate::obs::body::Payload;
use crate::obs::bytes::{PutOptions, Tags};
use crate::obs::copying::{CopySource, LARGEST_COPY};
use crate::obs::list::Entry;
use crate::obs::{self, ObsUrl};

/// An object of this size that the store cannot copy within the time limit of a request is copied in parts instead.
const SLOW: u64 = 64 * 1024 * 1024;

impl Run {
    /// Copies one object to exactly this address.
    pub(super) async fn copy_object(self: &Arc<Self>, source: ObsUrl, destination: &ObsUrl) -> Result<Summary, Error> {
        let info = self.unless_stopped(self.client.head(&source)).await?.map_err(|error| {
            if error.is_not_found() && !error.is_no_such_bucket() { Error::NoSource(source.to_string()) } else { error.into() }
        })?;
        self.found(info.size);
        self.events.event(Event::ScanDone);
        let entry = Entry { key: source.key.clone(), size: info.size, etag: info.etag, modified: info.modified };
        let done = object(self, &source.bucket, &entry, destination).await?;
        Ok(self.summarise_one(source.name().to_owned(), done))
    }

    /// Copies what is below a prefix to below another.
    pub(super) async fn copy_folder(self: &Arc<Self>, source: ObsUrl, destination: ObsUrl) -> Result<Summary, Error> {
        let (sender, receiver) = channel(WAITING);
        let context = self.context();
        let scan = tokio::spawn(scan::copies(context, source.clone(), destination.clone(), sender));
        let summary = self
            .pump(receiver, |run, item| match item {
                Item::Object { name, entry, .. } => {
                    let (bucket, target) = (source.bucket.clone(), destination.join(&name));
                    if target.bucket == bucket && target.key.starts_with(&source.key) {
                        let error = Error::unplaceable(&name, "its copy would be part of the source");
                        return refuse(Item::Refused { name, error });
                    }
                    Box::pin(async move {
                        let done = object(&run, &bucket, &entry, &target).await;
                        (name, done)
                    })
                }
                other => refuse(other),
            })
            .await;
        scan::finished(scan, summary).await
    }
}

/// Copies an object as it was listed.
pub(super) async fn object(run: &Arc<Run>, bucket: &str, entry: &Entry, destination: &ObsUrl) -> Result<Done, Error> {
    let source = ObsUrl::new(bucket, entry.key.clone());
    if run.cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    if entry.size == 0 && entry.key.ends_with('/') {
        return marker(run, destination).await;
    }
    // The store's own limit, unless a part size was asked for.
    let is_divided =
        run.options.part_size.map_or(entry.size > LARGEST_COPY, |size| Division::new(entry.size, Some(size)).is_divided());
    let check = if is_divided {
        in_parts(run, &source, entry, destination).await?
    } else {
        match whole(run, &source, entry, destination).await {
            Err(Error::Store(error)) if entry.size >= SLOW && error.is_network() => {
                in_parts(run, &source, entry, destination).await?
            }
            copied => copied?,
        }
    };
    let meter = Meter::new(run);
    meter.add(usize::try_from(entry.size).unwrap_or(usize::MAX));
    meter.keep();
    Ok(Done::File { bytes: entry.size, check })
}

/// Some stores cannot copy what stands for a folder; there is nothing in it anyway.
async fn marker(run: &Run, destination: &ObsUrl) -> Result<Done, Error> {
    let permit = run.permit(0).await?;
    let options = PutOptions::default();
    let putting = run.client.retrying(async |_| run.client.put_once(destination, Payload::Whole(Bytes::new()), &options).await);
    run.unless_stopped(putting).await??;
    drop(permit);
    Ok(Done::Folder)
}

async fn whole(run: &Run, source: &ObsUrl, entry: &Entry, destination: &ObsUrl) -> Result<Check, Error> {
    let permit = run.permit(0).await?;
    let copying = async {
        let from = CopySource { url: source, etag: &entry.etag };
        let etag = run.client.copy_object(from, destination).await.map_err(|error| changed(source, error))?;
        confirm(run, source, entry, destination, &etag).await
    };
    let check = run.unless_stopped(copying).await??;
    drop(permit);
    Ok(check)
}

/// A condition that did not hold means that the source is not what was listed.
pub(super) fn changed(source: &ObsUrl, error: obs::Error) -> Error {
    if error.is_changed() { Error::Changed(source.to_string()) } else { error.into() }
}

/// Compares the copy with its source: the same ETag, else the same size and no ETag that speaks against it.
pub(super) async fn confirm(
    run: &Run,
    source: &ObsUrl,
    entry: &Entry,
    destination: &ObsUrl,
    etag: &str,
) -> Result<Check, Error> {
    let is_md5 = |etag: &str| Tags { etag: etag.to_owned(), ..Tags::default() }.md5().is_some();
    let target = || destination.to_string();
    let check = if etag == entry.etag {
        if is_md5(etag) { Check::Md5 } else { Check::Size }
    } else {
        let copy = run.client.head(destination).await?;
        if copy.size != entry.size {
            let message = format!("the copy has {} bytes, its source {}", copy.size, entry.size);
            return Err(obs::Error::Answer { operation: "copy to", target: target(), message }.into());
        }
        if is_md5(&copy.etag) && is_md5(&entry.etag) && !copy.encrypted && !run.client.head(source).await?.encrypted {
            let (expected, found) = (entry.etag.clone(), copy.etag);
            return Err(obs::Error::Digest { operation: "copy to", target: target(), digest: "MD5", expected, found }.into());
        }
        Check::Size
    };
    let unverifiable = |check, reason| Err(Error::Unverifiable { target: target(), check, reason });
    match run.options.verify {
        Verify::Md5 if check != Check::Md5 => unverifiable("md5", "its ETag is not an MD5"),
        Verify::Crc => unverifiable("crc", "the store copies it, and no byte is seen here"),
        Verify::None => Ok(Check::None),
        Verify::Size => Ok(Check::Size),
        Verify::Auto | Verify::Md5 => Ok(check),
    }
}
