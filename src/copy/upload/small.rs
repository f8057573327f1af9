//! Small files: read and digested in batches, each sent in one request.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::copy::desk::Desk;
use crate::copy::digest::{Value, Verify, digest_many};
use crate::copy::error::Error;
use crate::copy::options::Preserve;
use crate::copy::run::Run;
use crate::copy::upload::source::Source;

/// Files of one batch.
const BATCH: usize = 32;

/// Reads small files.
pub(in crate::copy) type Loads = Desk<Load, Result<Loaded, Error>>;

/// A small file to read.
#[derive(Debug)]
pub(in crate::copy) struct Load {
    path: PathBuf,
    // As the scan saw it.
    size: u64,
    preserve: Preserve,
}

/// What was read, and its digest.
#[derive(Debug)]
pub(in crate::copy) struct Loaded {
    pub(super) bytes: Bytes,
    pub(super) value: Value,
    // What is kept of the file itself.
    pub(super) metadata: Vec<(&'static str, String)>,
}

/// The desk of a run.
pub(in crate::copy) fn desk(verify: Verify) -> Loads {
    Desk::new(BATCH, move |jobs: Vec<Load>| {
        let read: Vec<_> = jobs.into_iter().map(read).collect();
        let contents: Vec<&[u8]> = read.iter().flatten().map(|(bytes, _)| bytes.as_ref()).collect();
        let mut values = digest_many(verify, &contents).into_iter();
        let mut loaded = |(bytes, metadata)| Loaded { bytes, value: values.next().unwrap_or(Value::Nothing), metadata };
        read.into_iter().map(|read| read.map(&mut loaded)).collect::<Vec<_>>()
    })
}

/// Reads a file, in a batch with others.
pub(super) async fn load(run: &Arc<Run>, path: PathBuf, size: u64) -> Result<Loaded, Error> {
    let shown = path.clone();
    let load = Load { path, size, preserve: run.options.preserve };
    let lost = || Error::local("read", shown, std::io::Error::other("the batch it was in was given up"));
    run.loads.submit(load).await.unwrap_or_else(|| Err(lost()))
}

fn read(load: Load) -> Result<(Bytes, Vec<(&'static str, String)>), Error> {
    let source = Source::open(load.path)?;
    if source.size != load.size {
        return Err(source.changed());
    }
    Ok((source.read_whole()?, source.metadata(load.preserve)))
}
