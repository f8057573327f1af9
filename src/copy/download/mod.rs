//! One object down: into a partial file, checked, then renamed. Large ones in ranges that are fetched at the same time.

mod ranges;
mod resume;
pub(super) mod small;
mod write;

use std::sync::Arc;

use crate::copy::budget::{PIECE, STREAM};
use crate::copy::destination::Destination;
use crate::copy::digest::{Check, Digester, Verify};
use crate::copy::download::ranges::in_parts;
use crate::copy::download::write::{begin, finish, same_size};
use crate::copy::error::Error;
use crate::copy::parts::Division;
use crate::copy::run::{Done, Run};
use crate::copy::update::{Doubt, Verdict};
use crate::obs::bytes::GetOptions;
use crate::obs::list::Entry;
use crate::obs::{self, ObsUrl};

/// Fetches an object to `name` below the destination.
pub(super) async fn object(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    bucket: &str,
    entry: &Entry,
    doubt: Option<Doubt>,
) -> Result<Done, Error> {
    let url = ObsUrl::new(bucket, entry.key.clone());
    if let Some(doubt) = doubt {
        let permit = run.budget.permit(0).await;
        if let Verdict::Leave(reason) = run.unless_stopped(Box::pin(doubt.look_down(&run.client, &url))).await?? {
            return Ok(Done::Left { bytes: entry.size, reason });
        }
        drop(permit);
        run.found(entry.size);
    }
    let division = Division::new(entry.size, run.options.part_size);
    let fetched = if entry.size > PIECE as u64 && division.is_divided() && run.options.verify != Verify::Md5 {
        let fetch = || Box::pin(in_parts(run, destination, name, &url, entry, division));
        match fetch().await {
            // A byte changed on the way, in a part that nothing tells: once more from the beginning.
            Err(Error::Store(obs::Error::Digest { .. })) => fetch().await,
            fetched => fetched,
        }
    } else {
        let fetching = async {
            match entry.size <= PIECE as u64 {
                true => small::through_memory(run, destination, name, &url, entry).await,
                // One piece, also for whoever insists on the MD5, which needs the bytes in order.
                // Boxed, so that small objects do not carry its state.
                false => Box::pin(in_one_piece(run, destination, name, &url, entry)).await,
            }
        };
        tokio::select! {
            biased;
            () = run.cancel.cancelled() => return Err(Error::Cancelled),
            fetched = fetching => fetched,
        }
    };
    match fetched {
        // It came to be after the scan.
        Err(Error::Exists(_)) => Ok(Done::Left { bytes: entry.size, reason: "exists" }),
        fetched => fetched.map(|check| Done::File { bytes: entry.size, check }),
    }
}

async fn in_one_piece(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    url: &ObsUrl,
    entry: &Entry,
) -> Result<Check, Error> {
    let permit = run.budget.permit(STREAM).await;
    let partial = begin(destination, name, &entry.etag).await?;
    let pieces = write::desk();
    let target = url.to_string();
    let verify = run.options.verify;
    let (check, modified, preserved) = run
        .client
        .retrying(async |_| {
            let (checksum, preserved) = (verify == Verify::Crc, run.options.preserve.is_any());
            let options = GetOptions { checksum, preserved, ..GetOptions::default() };
            let got = run.client.get_once(url, &options).await?;
            same_size(url, &got, entry)?;
            let (tags, modified) = (got.tags.clone(), got.modified);
            let digester = Digester::for_download(verify, &tags, true);
            let (value, meter) = write::write(run, &partial, &pieces, got, 0, digester).await?;
            let check = value.compare(verify, "get", &target, &tags)?;
            meter.keep();
            Ok::<_, Error>((check, modified, tags.preserved))
        })
        .await?;
    drop(permit);
    finish(partial, run.finish(entry.modified.or(modified), preserved)).await?;
    Ok(check)
}
