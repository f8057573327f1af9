//! Small files: read and digested in batches, each sent in one request.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::copy::desk::Desk;
use crate::copy::digest::{Digester, Value, Verify};
use crate::copy::error::Error;
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
    verify: Verify,
}

/// What was read, and its digest.
#[derive(Debug)]
pub(in crate::copy) struct Loaded {
    pub(super) bytes: Bytes,
    pub(super) value: Value,
}

/// The desk of a run.
pub(in crate::copy) fn desk() -> Loads {
    Desk::new(BATCH, |jobs: Vec<Load>| jobs.into_iter().map(read).collect())
}

/// Reads a file, in a batch with others.
pub(super) async fn load(run: &Arc<Run>, path: PathBuf, size: u64) -> Result<Loaded, Error> {
    let shown = path.clone();
    let load = Load { path, size, verify: run.options.verify };
    let lost = || Error::local("read", shown, std::io::Error::other("the batch it was in was given up"));
    run.loads.submit(load).await.unwrap_or_else(|| Err(lost()))
}

fn read(load: Load) -> Result<Loaded, Error> {
    let source = Source::open(load.path)?;
    if source.size != load.size {
        return Err(source.changed());
    }
    let bytes = source.read_whole()?;
    let mut digester = Digester::for_upload(load.verify);
    digester.update(&bytes);
    Ok(Loaded { bytes, value: digester.finish() })
}
