//! Objects that the source folder does not have.

use std::io::ErrorKind;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::copy::error::Error;
use crate::copy::mirror::{Deleted, Extra, Spool, is_extra};
use crate::copy::report::Report;
use crate::copy::select::Selection;
use crate::copy::select::seen::Sorted;
use crate::obs::control::DELETE_BATCH;
use crate::obs::{Client, ObsUrl};

/// Lists the destination anew: what is there now is what counts.
pub(super) async fn find(
    client: &Client,
    source: Option<&Path>,
    destination: &ObsUrl,
    selection: &Selection,
    seen: &Sorted,
) -> Result<Spool, Error> {
    let mut spool = Spool::new()?;
    let mut listing = client.list(destination, true);
    while let Some(page) = listing.next_page().await? {
        for entry in page.entries {
            let Some(relative) = entry.key.strip_prefix(&destination.key) else { continue };
            let (name, is_folder) = relative.strip_suffix('/').map_or((relative, false), |name| (name, true));
            // The mark of the destination itself stays.
            let is_own = relative.is_empty();
            if !is_own && is_extra(selection, seen, name, is_folder) && !source.is_some_and(|source| exists(source, name)) {
                spool.add(relative, entry.size)?;
            }
        }
    }
    Ok(spool)
}

/// Whether the source has the name after all: it may have come since the scan. What cannot be looked at may be there.
fn exists(source: &Path, name: &str) -> bool {
    let is_plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_plain && source.join(name).symlink_metadata().map_or_else(|error| !is_absent(error.kind()), |_| true)
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename | ErrorKind::InvalidInput)
}

/// Deletes in batches.
pub(super) async fn delete(
    client: &Client,
    destination: &ObsUrl,
    spool: &mut Spool,
    report: Option<&Report>,
    cancel: &CancellationToken,
) -> Result<Deleted, Error> {
    let mut deleted = Deleted::default();
    let mut reading = spool.read()?;
    loop {
        let mut batch: Vec<Extra> = Vec::new();
        while batch.len() < DELETE_BATCH
            && let Some(extra) = reading.next_extra()?
        {
            batch.push(extra);
        }
        if batch.is_empty() {
            return Ok(deleted);
        }
        let keys: Vec<String> = batch.iter().map(|extra| format!("{}{}", destination.key, extra.name)).collect();
        let deleting = client.delete_many(&destination.bucket, &keys);
        let left = cancel.run_until_cancelled(deleting).await.ok_or(Error::Cancelled)??;
        for (extra, key) in batch.into_iter().zip(&keys) {
            match left.iter().find(|left| left.key == *key) {
                None => deleted.count(report, &extra),
                Some(left) => {
                    let error = Error::NotDeleted { name: key.clone(), reason: left.reason.clone() };
                    deleted.fail(report, extra.name, error);
                }
            }
        }
    }
}
