//! A stream down.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::{Sender, channel};
use tokio_util::task::AbortOnDropHandle;

use crate::copy::budget::Permit;
use crate::copy::digest::{Check, Digester, Verify};
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::meter::{Meter, blocking};
use crate::copy::pipe::NAME;
use crate::copy::run::{Done, Run};
use crate::obs::ObsUrl;
use crate::obs::bytes::{GetOptions, Tags};
use crate::obs::control::ObjectInfo;

/// Fetched in one request: six of them fit into the usual memory.
const RANGE: u64 = 4 * 1024 * 1024;

/// Requests that may be on their way at most; memory limits them before.
const AHEAD: usize = 64;

type Fetched = AbortOnDropHandle<Result<(Vec<Bytes>, Tags, Permit), Error>>;

pub(super) async fn stream<W: Write + Send + 'static>(run: &Arc<Run>, url: &ObsUrl, mut writer: W) -> Result<Done, Error> {
    let info = run.unless_stopped(run.client.head(url)).await?.map_err(|error| {
        if error.is_not_found() && !error.is_no_such_bucket() { Error::NoSource(url.to_string()) } else { error.into() }
    })?;
    run.found(info.size);
    run.events.event(Event::ScanDone);
    let size = info.size;
    let (sender, mut ranges) = channel::<Fetched>(AHEAD);
    let asking = AbortOnDropHandle::new(tokio::spawn(ask(Arc::clone(run), url.clone(), info, sender)));
    let verify = run.options.verify;
    let mut known: Option<(Digester, Tags)> = None;
    let mut written = 0;
    while let Some(range) = run.unless_stopped(ranges.recv()).await? {
        let fetched = run.unless_stopped(range).await?;
        let (pieces, tags, permit) = fetched.map_err(|error| Error::local("fetch", NAME, std::io::Error::other(error)))??;
        let (mut digester, tags) = match known.take() {
            Some((digester, first)) => (digester, first),
            // In order from the first byte on, so the digest is that of the whole.
            None => (Digester::for_download(verify, &tags, true), tags),
        };
        let writing = blocking(move || {
            for piece in &pieces {
                digester.update(piece);
                writer.write_all(piece).map_err(|error| Error::local("write", NAME, error))?;
            }
            let length: usize = pieces.iter().map(Bytes::len).sum();
            Ok((writer, digester, length))
        });
        let length;
        (writer, digester, length) = run.unless_stopped(writing).await??;
        drop(permit);
        written += length as u64;
        known = Some((digester, tags));
    }
    drop(asking);
    if written != size {
        let error = std::io::Error::other(format!("{written} of {size} bytes came"));
        return Err(Error::local("fetch", NAME, error));
    }
    run.unless_stopped(blocking(move || writer.flush().map_err(|error| Error::local("write", NAME, error)))).await??;
    let check = match known {
        Some((digester, tags)) => digester.finish().compare(verify, "get", &url.to_string(), &tags)?,
        // There are no bytes that could be wrong.
        None if verify == Verify::None => Check::None,
        None => Check::Size,
    };
    Ok(Done::File { bytes: size, check })
}

/// Asks for one range after the other; leave is taken in order, so that the one which is needed first is never without it.
async fn ask(run: Arc<Run>, url: ObsUrl, info: ObjectInfo, ranges: Sender<Fetched>) {
    if info.size == 0 {
        return;
    }
    let info = Arc::new(info);
    // Ranges may be as many as it takes: only parts of uploads are counted.
    for first in (0..info.size).step_by(usize::try_from(RANGE).unwrap_or(usize::MAX)) {
        let range = (first, RANGE.min(info.size - first));
        let permit = run.budget.permit(range.1).await;
        let (run, url, info) = (Arc::clone(&run), url.clone(), Arc::clone(&info));
        let fetching = tokio::spawn(async move {
            let (pieces, tags) = fetch(&run, &url, &info, range).await?;
            Ok((pieces, tags, permit))
        });
        if ranges.send(AbortOnDropHandle::new(fetching)).await.is_err() {
            return;
        }
    }
}

async fn fetch(run: &Run, url: &ObsUrl, info: &ObjectInfo, range: (u64, u64)) -> Result<(Vec<Bytes>, Tags), Error> {
    let verify = run.options.verify;
    let if_match = Some(info.etag.clone()).filter(|etag| !etag.is_empty());
    let options = GetOptions { range: Some(range), if_match, checksum: verify == Verify::Crc, ..GetOptions::default() };
    run.client
        .retrying(async |_| {
            let meter = Meter::new(run);
            let mut got = match run.client.get_once(url, &options).await {
                Err(error) if error.is_changed() => return Err(Error::Changed(url.to_string())),
                got => got?,
            };
            if got.size != info.size {
                return Err(Error::Changed(url.to_string()));
            }
            let mut pieces = Vec::new();
            while let Some(piece) = got.body.piece().await? {
                run.take_rate(piece.len()).await;
                meter.add(piece.len());
                // Copied: a piece may keep a far larger buffer of the connection alive.
                pieces.push(Bytes::copy_from_slice(&piece));
            }
            meter.keep();
            Ok((pieces, got.tags))
        })
        .await
}
