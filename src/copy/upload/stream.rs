//! A part, or a whole file of middle size, read piece by piece and digested on the way to the store.

use std::sync::{Arc, Mutex, PoisonError};

use crate::copy::budget::PIECE;
use crate::copy::digest::{Check, Digester, Value};
use crate::copy::error::Error;
use crate::copy::parts::Part;
use crate::copy::run::{Meter, Run};
use crate::copy::upload::source::Source;
use crate::copy::upload::{ABORT, content_md5};
use crate::obs::body::{NextPiece, Payload, Pieces};
use crate::obs::bytes::PutOptions;
use crate::obs::{self, ObsUrl};

/// What a stream becomes.
#[derive(Clone, Copy)]
pub(super) enum Destined<'a> {
    /// A whole object; its digest where it is known already.
    Object(Value),
    /// A part of this upload.
    Part(&'a str),
}

/// Streams a part, or the whole file as one object. Returns its ETag and the digest of what was read.
pub(super) async fn stream(
    run: &Run,
    source: &Arc<Source>,
    url: &ObsUrl,
    part: Part,
    destined: Destined<'_>,
) -> Result<(String, Value, Check), Error> {
    let (known, options) = match destined {
        Destined::Object(known) => (known, PutOptions { content_md5: content_md5(known), part: None }),
        Destined::Part(upload) => {
            (Value::Nothing, PutOptions { content_md5: None, part: Some((part.number, upload.to_owned())) })
        }
    };
    let target = url.to_string();
    let verify = run.options.verify;
    let sent = run
        .client
        .retrying(async |_| {
            let meter = Meter::new(run);
            let digester = match known {
                Value::Nothing => Digester::for_upload(verify),
                _ => Digester::Nothing,
            };
            let digester = Arc::new(Mutex::new(digester));
            let reader = Reader {
                source: Arc::clone(source),
                offset: part.offset,
                left: part.length,
                digester: Arc::clone(&digester),
                meter: Arc::clone(&meter),
            };
            let payload = Payload::Stream { length: part.length, pieces: Box::new(reader) };
            let tags = match run.client.put_once(url, payload, &options).await {
                Err(obs::Error::Source(_)) => return Err(source.changed()),
                sent => sent?,
            };
            let digester = std::mem::replace(&mut *digester.lock().unwrap_or_else(PoisonError::into_inner), Digester::Nothing);
            let value = match digester.finish() {
                Value::Nothing => known,
                streamed => streamed,
            };
            let check = value.compare(verify, "put", &target, &tags)?;
            meter.keep();
            Ok::<_, Error>((tags.etag, value, check))
        })
        .await;
    if matches!(destined, Destined::Object(_)) && sent.as_ref().is_err_and(is_corrupt) {
        // What arrived is known to be wrong: better no object than that one.
        let _ = tokio::time::timeout(ABORT, run.client.delete(url)).await;
    }
    sent
}

/// The store's own CRC of the object proves it. An ETag does not: what it is depends on the store.
fn is_corrupt(error: &Error) -> bool {
    match error {
        Error::Exhausted { source, .. } => is_corrupt(source),
        Error::Store(obs::Error::Digest { digest, .. }) => *digest == "CRC",
        _ => false,
    }
}

/// Reads a part piece by piece and digests it on the way; the last piece is only given if the file did not change meanwhile.
struct Reader {
    source: Arc<Source>,
    offset: u64,
    left: u64,
    digester: Arc<Mutex<Digester>>,
    meter: Arc<Meter>,
}

impl Pieces for Reader {
    fn next(&mut self) -> NextPiece {
        let length = usize::try_from(self.left.min(PIECE as u64)).unwrap_or(PIECE);
        let offset = self.offset;
        self.offset += length as u64;
        self.left -= length as u64;
        let (source, digester, meter) = (Arc::clone(&self.source), Arc::clone(&self.digester), Arc::clone(&self.meter));
        let is_last = self.left == 0;
        let reading = tokio::task::spawn_blocking(move || {
            let piece = source.read_piece(offset, length).map_err(|error| error.to_string())?;
            if piece.len() < length || (is_last && source.check_unchanged().is_err()) {
                return Err("it changed while it was read".to_owned());
            }
            digester.lock().unwrap_or_else(PoisonError::into_inner).update(&piece);
            meter.add(piece.len());
            Ok(piece)
        });
        Box::pin(async move { reading.await.unwrap_or_else(|error| Err(error.to_string())) })
    }
}
