//! Bytes that arrive, into a partial file.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::copy::budget::PIECE;
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

/// Writes a body at a position as it arrives and digests it on the way.
pub(super) async fn write(
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
        run.take_rate(waiting).await;
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
