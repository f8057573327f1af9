//! One object down: into a partial file, checked, then renamed. Large ones in ranges that are fetched at the same time.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::copy::budget::{PIECE, STREAM};
use crate::copy::destination::{Destination, Partial};
use crate::copy::digest::{Check, Digester, Value, Verify};
use crate::copy::error::Error;
use crate::copy::parts::{Division, Part};
use crate::copy::run::{Done, Meter, Run, blocking};
use crate::obs::ObsUrl;
use crate::obs::bytes::{GetOptions, Got, Tags};
use crate::obs::list::Entry;

/// Fetches an object to `name` below the destination.
pub(super) async fn object(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    bucket: &str,
    entry: &Entry,
) -> Result<Done, Error> {
    let url = ObsUrl::new(bucket, entry.key.clone());
    let division = Division::new(entry.size, run.options.part_size);
    let check = if entry.size > PIECE as u64 && division.is_divided() && run.options.verify != Verify::Md5 {
        in_parts(run, destination, name, &url, entry, division).await?
    } else {
        let fetching = async {
            match entry.size <= PIECE as u64 {
                true => to_memory(run, destination, name, &url, entry).await,
                // One piece, also for whoever insists on the MD5, which needs the bytes in order.
                false => in_one_piece(run, destination, name, &url, entry).await,
            }
        };
        tokio::select! {
            biased;
            () = run.cancel.cancelled() => return Err(Error::Cancelled),
            fetched = fetching => fetched?,
        }
    };
    Ok(Done::File { bytes: entry.size, check })
}

async fn to_memory(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    url: &ObsUrl,
    entry: &Entry,
) -> Result<Check, Error> {
    let permit = run.budget.permit(entry.size).await;
    let target = url.to_string();
    let verify = run.options.verify;
    let (bytes, modified, check) = run
        .client
        .retrying(async |_| {
            let meter = Meter::new(run);
            let options = GetOptions { checksum: verify == Verify::Crc, ..GetOptions::default() };
            let mut got = run.client.get_once(url, &options).await?;
            same_size(url, &got, entry)?;
            let mut digester = Digester::for_download(verify, &got.tags, true);
            let mut bytes: Vec<u8> = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(PIECE));
            while let Some(piece) = got.body.piece().await? {
                meter.add(piece.len());
                bytes.extend_from_slice(&piece);
            }
            digester.update(&bytes);
            let check = digester.finish().compare(verify, "get", &target, &got.tags)?;
            meter.keep();
            Ok::<_, Error>((bytes, got.modified, check))
        })
        .await?;
    let (destination, name, etag) = (Arc::clone(destination), name.to_owned(), entry.etag.clone());
    let modified = entry.modified.or(modified);
    blocking(move || {
        let partial = destination.begin(&name, &etag)?;
        partial.file().write_all_at(&bytes, 0).map_err(|error| Error::local("write", partial.path(), error))?;
        partial.finish(modified)
    })
    .await?;
    drop(permit);
    Ok(check)
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
    let target = url.to_string();
    let verify = run.options.verify;
    let (check, modified) = run
        .client
        .retrying(async |_| {
            let options = GetOptions { checksum: verify == Verify::Crc, ..GetOptions::default() };
            let got = run.client.get_once(url, &options).await?;
            same_size(url, &got, entry)?;
            let (tags, modified) = (got.tags.clone(), got.modified);
            let digester = Digester::for_download(verify, &tags, true);
            let (value, meter) = write(run, &partial, got, 0, digester).await?;
            let check = value.compare(verify, "get", &target, &tags)?;
            meter.keep();
            Ok::<_, Error>((check, modified))
        })
        .await?;
    drop(permit);
    finish(partial, entry.modified.or(modified)).await?;
    Ok(check)
}

async fn in_parts(
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

fn same_size(url: &ObsUrl, got: &Got, entry: &Entry) -> Result<(), Error> {
    if got.size == entry.size { Ok(()) } else { Err(Error::Changed(url.to_string())) }
}

async fn begin(destination: &Arc<Destination>, name: &str, etag: &str) -> Result<Partial, Error> {
    let (destination, name, etag) = (Arc::clone(destination), name.to_owned(), etag.to_owned());
    blocking(move || destination.begin(&name, &etag)).await
}

async fn finish(partial: Partial, modified: Option<OffsetDateTime>) -> Result<(), Error> {
    blocking(move || partial.finish(modified)).await
}

/// Writes a body at a position as it arrives and digests it on the way.
async fn write(
    run: &Run,
    partial: &Partial,
    mut got: Got,
    offset: u64,
    mut digester: Digester,
) -> Result<(Value, Arc<Meter>), Error> {
    let meter = Meter::new(run);
    let mut position = offset;
    loop {
        // As hyper gives them, uncopied, until a batch is worth a change of threads.
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut waiting = 0;
        while waiting < PIECE {
            let Some(piece) = got.body.piece().await? else { break };
            waiting += piece.len();
            pieces.push(piece);
        }
        if pieces.is_empty() {
            return Ok((digester.finish(), meter));
        }
        let (file, path) = (partial.file(), partial.path().to_owned());
        digester = blocking(move || {
            let mut position = position;
            for piece in &pieces {
                file.write_all_at(piece, position).map_err(|error| Error::local("write", &path, error))?;
                digester.update(piece);
                position += piece.len() as u64;
            }
            Ok(digester)
        })
        .await?;
        position += waiting as u64;
        meter.add(waiting);
    }
}
