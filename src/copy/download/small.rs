//! Small objects: fetched in one request each, checked and written in batches.

use std::sync::Arc;

use crate::copy::desk::Desk;
use crate::copy::destination::Destination;
use crate::copy::digest::{Check, Digester, Value, Verify};
use crate::copy::download::write::same_size;
use crate::copy::error::Error;
use crate::copy::meter::Meter;
use crate::copy::partial::Finish;
use crate::copy::run::Run;
use crate::obs::ObsUrl;
use crate::obs::bytes::{GetOptions, Tags};
use crate::obs::list::Entry;

/// Objects of one batch.
const BATCH: usize = 32;

/// Checks and writes small objects.
pub(in crate::copy) type Writes = Desk<Write, Result<Check, Error>>;

/// A small object that arrived.
#[derive(Debug)]
pub(in crate::copy) struct Write {
    destination: Arc<Destination>,
    name: String,
    version: String,
    bytes: Vec<u8>,
    target: String,
    tags: Tags,
    verify: Verify,
    finish: Finish,
}

/// The desk of a run.
pub(in crate::copy) fn desk() -> Writes {
    Desk::new(BATCH, |jobs: Vec<Write>| {
        let begin = |job: &Write| Digester::for_download(job.verify, &job.tags, true);
        let mut digesters: Vec<Digester> = jobs.iter().map(begin).collect();
        Digester::update_many(digesters.iter_mut().zip(jobs.iter().map(|job| job.bytes.as_slice())));
        jobs.iter().zip(digesters).map(|(job, digester)| write(job, digester.finish())).collect()
    })
}

/// Fetches an object through memory.
pub(super) async fn through_memory(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    url: &ObsUrl,
    entry: &Entry,
) -> Result<Check, Error> {
    let permit = run.budget.permit(entry.size).await;
    let verify = run.options.verify;
    let check = run
        .client
        .retrying(async |_| {
            let meter = Meter::new(run);
            let (checksum, preserved) = (verify == Verify::Crc, run.options.preserve.is_any());
            let options = GetOptions { checksum, preserved, ..GetOptions::default() };
            let mut got = run.client.get_once(url, &options).await?;
            same_size(url, &got, entry)?;
            let mut bytes: Vec<u8> = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0));
            while let Some(piece) = got.body.piece().await? {
                bytes.extend_from_slice(&piece);
            }
            run.take_rate(bytes.len()).await;
            meter.add(bytes.len());
            let job = Write {
                destination: Arc::clone(destination),
                name: name.to_owned(),
                version: entry.etag.clone(),
                bytes,
                target: url.to_string(),
                finish: run.finish(entry.modified.or(got.modified), got.tags.preserved),
                tags: got.tags,
                verify,
            };
            let lost = || Error::local("write", name, std::io::Error::other("the batch it was in was given up"));
            let check = run.writes.submit(job).await.unwrap_or_else(|| Err(lost()))?;
            meter.keep();
            Ok::<_, Error>(check)
        })
        .await;
    drop(permit);
    check
}

fn write(job: &Write, value: Value) -> Result<Check, Error> {
    let check = value.compare(job.verify, "get", &job.target, &job.tags)?;
    job.destination.place(&job.name, &job.version, &job.bytes, job.finish)?;
    Ok(check)
}
