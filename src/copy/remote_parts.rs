//! A large object, copied inside the store in parts at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::copy::digest::Check;
use crate::copy::error::Error;
use crate::copy::parts::Division;
use crate::copy::remote::{changed, confirm};
use crate::copy::run::Run;
use crate::obs::ObsUrl;
use crate::obs::copying::CopySource;
use crate::obs::list::Entry;
use crate::obs::multipart::Part;

/// The store copies a part of this size in seconds, and 5 TiB in fewer parts than it allows.
const PART_SIZE: u64 = 128 * 1024 * 1024;

/// An upload that is given up is aborted at the store, but nobody waits longer than this for it.
const ABORT: Duration = Duration::from_secs(5);

/// Copies an object; its metadata comes along, unless the client's attributes say what it shall be.
pub(super) async fn in_parts(run: &Arc<Run>, source: &ObsUrl, entry: &Entry, destination: &ObsUrl) -> Result<Check, Error> {
    let begun = async {
        run.take_request().await?;
        let info = run.client.head(source).await?;
        if info.size != entry.size || (!entry.etag.is_empty() && info.etag != entry.etag) {
            return Err(Error::Changed(source.to_string()));
        }
        run.take_request().await?;
        let upload = run.client.create_multipart_like(destination, &info).await?;
        Ok((upload, Entry { etag: info.etag, ..entry.clone() }))
    };
    let (upload, entry) = run.unless_stopped(begun).await??;
    let mut tasks = JoinSet::new();
    let copied = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        copied = copy_parts(run, &mut tasks, source, &entry, destination, &upload) => copied,
    };
    // No part may be on its way when the upload is aborted: it would stay at the store.
    tasks.shutdown().await;
    let ended = async {
        let copied = copied?;
        run.take_request().await?;
        let etag = run.client.complete_multipart(destination, &upload, &copied).await?;
        confirm(run, source, &entry, destination, &etag).await
    };
    let completed = match run.unless_stopped(ended).await {
        Ok(completed) => completed,
        Err(stopped) => Err(stopped),
    };
    if completed.is_err()
        && let Ok(Err(error)) = tokio::time::timeout(ABORT, run.client.abort_multipart(destination, &upload)).await
    {
        tracing::debug!(%error, %destination, "an upload could not be aborted");
    }
    completed
}

async fn copy_parts(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Result<Part, Error>>,
    source: &ObsUrl,
    entry: &Entry,
    destination: &ObsUrl,
    upload: &str,
) -> Result<Vec<Part>, Error> {
    let mut copied: Vec<Part> = Vec::new();
    let mut take = |outcome: Result<Result<Part, Error>, tokio::task::JoinError>| {
        copied.push(outcome.map_err(|error| Error::local("copy", "", std::io::Error::other(error)))??);
        Ok::<_, Error>(())
    };
    for part in Division::new(entry.size, Some(run.options.part_size.unwrap_or(PART_SIZE))).parts() {
        let permit = run.budget.permit(0).await;
        while let Some(outcome) = tasks.try_join_next() {
            take(outcome)?;
        }
        let (run, source, destination) = (Arc::clone(run), source.clone(), destination.clone());
        let (etag, upload) = (entry.etag.clone(), upload.to_owned());
        tasks.spawn(async move {
            let wanted = Part { number: part.number, etag: String::new(), size: part.length };
            let from = CopySource { url: &source, etag: &etag };
            let copied = run.client.copy_part(from, part.offset, &destination, &upload, wanted).await;
            drop(permit);
            copied.map_err(|error| changed(&source, error))
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    copied.sort_by_key(|part| part.number);
    Ok(copied)
}
