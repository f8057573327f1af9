//! A large object in ranges that are fetched at the same time.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::copy::budget::STREAM;
use crate::copy::destination::{Destination, Partial};
use crate::copy::digest::{Check, Digester, Value, Verify};
use crate::copy::download::write::{begin, finish, same_size, write};
use crate::copy::error::Error;
use crate::copy::parts::{Division, Part};
use crate::copy::run::Run;
use crate::obs::ObsUrl;
use crate::obs::bytes::{GetOptions, Tags};
use crate::obs::list::Entry;

pub(super) async fn in_parts(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    url: &ObsUrl,
    entry: &Entry,
    division: Division,
) -> Result<Check, Error> {
    let etag = if entry.etag.is_empty() { run.unless_stopped(run.client.head(url)).await??.etag } else { entry.etag.clone() };
    let entry = Arc::new(Entry { etag, ..entry.clone() });
    let partial = Arc::new(begin(destination, name, &entry.etag).await?);
    let mut tasks = JoinSet::new();
    let fetched = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        fetched = fetch_parts(run, &mut tasks, &partial, url, &entry, division) => fetched,
    };
    // Only when no task holds the file any more is it removed, or given its name.
    tasks.shutdown().await;
    let (value, tags) = fetched?;
    let check = value.compare(run.options.verify, "get", &url.to_string(), &tags)?;
    let partial = Arc::into_inner(partial).expect("every task that shared the file has ended");
    finish(partial, entry.modified).await?;
    Ok(check)
}

type Fetched = Result<(u32, Value, Tags), Error>;

/// Fetches the parts at the same time; gives the digest of the whole and what the store says of it.
async fn fetch_parts(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Fetched>,
    partial: &Arc<Partial>,
    url: &ObsUrl,
    entry: &Arc<Entry>,
    division: Division,
) -> Result<(Value, Tags), Error> {
    let mut values = vec![Value::Nothing; usize::try_from(division.count()).unwrap_or(0)];
    let mut tags = Tags::default();
    let mut take = |outcome: Result<Fetched, tokio::task::JoinError>| {
        let outcome = outcome.map_err(|error| Error::local("fetch", partial.path(), std::io::Error::other(error)))?;
        let (number, value, part_tags) = outcome?;
        values[number as usize - 1] = value;
        tags = part_tags;
        Ok::<_, Error>(())
    };
    for part in division.parts() {
        let permit = run.budget.permit(STREAM).await;
        while let Some(outcome) = tasks.try_join_next() {
            take(outcome)?;
        }
        let (run, partial, url, entry) = (Arc::clone(run), Arc::clone(partial), url.clone(), Arc::clone(entry));
        tasks.spawn(async move {
            let (value, tags) = range(&run, &partial, &url, &entry, part).await?;
            drop(permit);
            Ok((part.number, value, tags))
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    Ok((values.into_iter().reduce(Value::followed_by).unwrap_or(Value::Nothing), tags))
}

async fn range(run: &Run, partial: &Partial, url: &ObsUrl, entry: &Entry, part: Part) -> Result<(Value, Tags), Error> {
    let verify = run.options.verify;
    let options = GetOptions {
        range: Some((part.offset, part.length)),
        if_match: Some(entry.etag.clone()),
        checksum: verify == Verify::Crc,
    };
    run.client
        .retrying(async |_| {
            let got = match run.client.get_once(url, &options).await {
                Err(error) if error.is_changed() => return Err(Error::Changed(url.to_string())),
                got => got?,
            };
            same_size(url, &got, entry)?;
            let tags = got.tags.clone();
            let digester = Digester::for_download(verify, &tags, false);
            let (value, meter) = write(run, partial, got, part.offset, digester).await?;
            meter.keep();
            Ok((value, tags))
        })
        .await
}
