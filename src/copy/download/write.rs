//! Bytes that arrive, into a partial file.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::copy::budget::PIECE;
use crate::copy::desk::{Desk, Ticket};
use crate::copy::destination::Destination;
use crate::copy::digest::{Digester, Value};
use crate::copy::error::Error;
use crate::copy::meter::{Meter, blocking};
use crate::copy::partial::{Finish, Partial};
use crate::copy::run::Run;
use crate::obs::ObsUrl;
use crate::obs::bytes::Got;
use crate::obs::list::Entry;

pub(super) fn same_size(url: &ObsUrl, got: &Got, entry: &Entry) -> Result<(), Error> {
    if got.size == entry.size { Ok(()) } else { Err(Error::Changed(url.to_string())) }
}

pub(super) async fn begin(destination: &Arc<Destination>, name: &str, etag: &str) -> Result<Partial, Error> {
    let (destination, name, etag) = (Arc::clone(destination), name.to_owned(), etag.to_owned());
    blocking(move || destination.begin(&name, &etag)).await
}

pub(super) async fn finish(partial: Partial, how: Finish) -> Result<(), Error> {
    blocking(move || partial.finish(how)).await
}

/// Writes what arrives of one file. Threads that write to the same file wait for one another in the system, so one does it all
/// while the disk keeps up: with several a tenth of the time of a download went there.
pub(super) type Pieces = Desk<Batch, Result<Digester, Error>>;

/// Pieces that follow one another in a file.
#[derive(Debug)]
pub(super) struct Batch {
    file: Arc<File>,
    path: PathBuf,
    position: u64,
    pieces: Vec<Bytes>,
    digester: Digester,
}

/// Bytes that are worth a change of threads. While so many are written as many arrive, so half a piece each: with whole ones 1 GiB
/// took as long, and 63 MiB of memory instead of 33.
const ENOUGH: usize = PIECE / 2;

/// Batches written one after the other before their tasks are told.
const TOGETHER: usize = 4;

/// The desk of one file.
pub(super) fn desk() -> Pieces {
    Desk::new(TOGETHER, |batches: Vec<Batch>| batches.into_iter().map(Batch::write).collect()).with_one_worker()
}

impl Batch {
    fn write(self) -> Result<Digester, Error> {
        let Self { file, path, mut position, pieces, mut digester } = self;
        for piece in pieces {
            file.write_all_at(&piece, position).map_err(|error| Error::local("write", &path, error))?;
            digester.update(&piece);
            position += piece.len() as u64;
        }
        Ok(digester)
    }
}

/// Writes a body at a position as it arrives and digests it on the way.
pub(super) async fn write(
    run: &Run,
    partial: &Partial,
    desk: &Pieces,
    mut got: Got,
    mut position: u64,
    digester: Digester,
) -> Result<(Value, Arc<Meter>), Error> {
    let meter = Meter::new(run);
    let mut turn = Turn::Idle(digester);
    loop {
        // While one batch is written the next arrives.
        let arrived = arrive(run, &mut got).await;
        // Waited for also after a failure: the next attempt writes to the same place.
        let digester = turn.digester(partial).await?;
        let pieces = arrived?;
        let bytes: usize = pieces.iter().map(Bytes::len).sum();
        if bytes == 0 {
            return Ok((digester.finish(), meter));
        }
        let batch = Batch { file: partial.file(), path: partial.path().to_owned(), position, pieces, digester };
        turn = Turn::Writing(desk.hand_in(batch));
        position += bytes as u64;
        meter.add(bytes);
    }
}

/// Who has the digester.
enum Turn {
    Idle(Digester),
    Writing(Ticket<Result<Digester, Error>>),
}

impl Turn {
    async fn digester(self, partial: &Partial) -> Result<Digester, Error> {
        let lost = || Error::local("write", partial.path(), std::io::Error::other("the batch it was in was given up"));
        match self {
            Self::Idle(digester) => Ok(digester),
            Self::Writing(ticket) => ticket.result().await.unwrap_or_else(|| Err(lost())),
        }
    }
}

/// The next bytes as hyper gives them, uncopied, as many as are worth a change of threads; none at the end.
async fn arrive(run: &Run, got: &mut Got) -> Result<Vec<Bytes>, Error> {
    let (mut pieces, mut bytes) = (Vec::new(), 0);
    while bytes < ENOUGH {
        let Some(piece) = got.body.piece().await? else { break };
        bytes += piece.len();
        pieces.push(piece);
    }
    run.take_rate(bytes).await;
    Ok(pieces)
}
