//! A large object in ranges that are fetched at the same time.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::copy::budget::STREAM;
use crate::copy::destination::Destination;
use crate::copy::digest::{Check, Digester, Value, Verify};
use crate::copy::download::resume::{Begun, Download, begin};
use crate::copy::download::write::{same_size, write};
use crate::copy::error::Error;
use crate::copy::journal::for_download;
use crate::copy::meter::Meter;
use crate::copy::parts::{Division, Part};
use crate::copy::run::Run;
use crate::obs::ObsUrl;
use crate::obs::bytes::{GetOptions, Got, Tags};
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
    let compare = |value: Value, tags: &Tags| value.compare(run.options.verify, "get", &url.to_string(), tags);
    let download = match begin(run, destination, name, url, &entry, division).await? {
        Begun::Download(download) => Arc::new(download),
        Begun::Complete(value) => {
            let tags = run.unless_stopped(look(run, url, &entry)).await??;
            return compare(value, &tags);
        }
    };
    let mut tasks = JoinSet::new();
    let fetched = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        fetched = fetch_parts(run, &mut tasks, &download, url, &entry) => fetched,
    };
    // Only when no task holds the file any more is it removed, or given its name.
    tasks.shutdown().await;
    let download = Arc::into_inner(download).expect("every task that shared the file has ended");
    let (value, tags) = match fetched {
        Ok(fetched) => fetched,
        Err(error) => {
            download.give_up(run, &error);
            return Err(error);
        }
    };
    match compare(value, &tags) {
        Ok(check) => download.finish(run.finish(entry.modified, tags.preserved)).await.map(|()| check),
        Err(error) => {
            download.remove();
            Err(error)
        }
    }
}

type Fetched = Result<(u32, Value, Option<Tags>), Error>;

/// Fetches the parts at the same time; gives the digest of the whole and what the store says of it.
async fn fetch_parts(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Fetched>,
    download: &Arc<Download>,
    url: &ObsUrl,
    entry: &Arc<Entry>,
) -> Result<(Value, Tags), Error> {
    let mut values = vec![Value::Nothing; usize::try_from(download.division.count()).unwrap_or(0)];
    let mut tags = None;
    let mut take = |outcome: Result<Fetched, tokio::task::JoinError>| {
        let failed = |error| Error::local("fetch", download.partial.path(), std::io::Error::other(error));
        let (number, value, part_tags) = outcome.map_err(failed)??;
        values[number as usize - 1] = value;
        tags = part_tags.or_else(|| tags.take());
        Ok::<_, Error>(())
    };
    for part in download.division.parts() {
        let permit = run.budget.permit(STREAM).await;
        while let Some(outcome) = tasks.try_join_next() {
            take(outcome)?;
        }
        let (run, download, url, entry) = (Arc::clone(run), Arc::clone(download), url.clone(), Arc::clone(entry));
        tasks.spawn(async move {
            let fetched = fetch(&run, &download, &url, &entry, part).await;
            drop(permit);
            fetched
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    let tags = match tags {
        Some(tags) => tags,
        None => look(run, url, entry).await?,
    };
    Ok((values.into_iter().reduce(Value::followed_by).unwrap_or(Value::Nothing), tags))
}

async fn fetch(run: &Run, download: &Download, url: &ObsUrl, entry: &Entry, part: Part) -> Fetched {
    if let Some(value) = download.earlier(run, part).await? {
        let meter = Meter::new(run);
        meter.add(usize::try_from(part.length).unwrap_or(usize::MAX));
        meter.keep();
        return Ok((part.number, value, None));
    }
    let (value, tags) = range(run, download, url, entry, part).await?;
    download.fetched(run, part, value);
    if run.options.durable {
        download.begin_flush(part).await;
    }
    Ok((part.number, value, Some(tags)))
}

async fn range(run: &Run, download: &Download, url: &ObsUrl, entry: &Entry, part: Part) -> Result<(Value, Tags), Error> {
    let options = options(run, entry, part.offset, part.length);
    run.client
        .retrying(async |_| {
            let got = get(run, url, entry, &options).await?;
            let tags = got.tags.clone();
            let digester = match Digester::for_download(run.options.verify, &tags, false) {
                Digester::Nothing if download.is_noted() => for_download(),
                digester => digester,
            };
            let (value, meter) = write(run, &download.partial, &download.pieces, got, part.offset, digester).await?;
            meter.keep();
            Ok((value, tags))
        })
        .await
}

/// Asks for a byte when no part had to be fetched: the object must still be there, and what the store says of it is needed.
async fn look(run: &Run, url: &ObsUrl, entry: &Entry) -> Result<Tags, Error> {
    let options = options(run, entry, 0, 1);
    run.client.retrying(async |_| Ok(get(run, url, entry, &options).await?.tags)).await
}

fn options(run: &Run, entry: &Entry, offset: u64, length: u64) -> GetOptions {
    let if_match = Some(entry.etag.clone());
    GetOptions {
        range: Some((offset, length)),
        if_match,
        checksum: run.options.verify == Verify::Crc,
        preserved: run.options.preserve.is_any(),
    }
}

async fn get(run: &Run, url: &ObsUrl, entry: &Entry, options: &GetOptions) -> Result<Got, Error> {
    let got = match run.client.get_once(url, options).await {
        Err(error) if error.is_changed() => return Err(Error::Changed(url.to_string())),
        got => got?,
    };
    same_size(url, &got, entry)?;
    Ok(got)
}
