//! A part, or a whole file of middle size, read piece by piece and digested on the way to the store.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::copy::budget::PIECE;
use crate::copy::digest::{Check, Digester, Value};
use crate::copy::error::Error;
use crate::copy::meter::Meter;
use crate::copy::parts::Part;
use crate::copy::rate::Rate;
use crate::copy::run::Run;
use crate::copy::upload::reading::{Order, Reading, Ticket};
use crate::copy::upload::source::Source;
use crate::copy::upload::{ABORT, sent_before, whole_options};
use crate::obs::body::{NextPiece, Payload, Pieces};
use crate::obs::bytes::PutOptions;
use crate::obs::{self, ObsUrl};

/// Files up to this size are read once, into memory, and sent from there: with the MD5 that goes ahead, anything else would
/// have to be read twice.
pub(super) const IN_MEMORY: u64 = 4 * PIECE as u64;

/// What a stream becomes.
#[derive(Clone, Copy)]
pub(super) enum Destined<'a> {
    /// A whole object; its digest where it is known already.
    Object(Value),
    /// A whole object that is in memory, with its digest.
    Held(Value, &'a [Bytes]),
    /// A part of this upload.
    Part(&'a str),
}

/// Reads a whole file into memory, in pieces, if it is small enough; else reads it only for its digest, if that goes ahead.
pub(super) async fn ahead(run: &Run, source: &Arc<Source>) -> Result<(Vec<Bytes>, Value), Error> {
    let keep = source.size <= IN_MEMORY;
    let digester = Digester::for_upload(run.options.verify);
    // Read twice: with the MD5 sent ahead, the store refuses wrong bytes before they take the place of an object.
    if !keep && !matches!(digester, Digester::Md5(_)) {
        return Ok((Vec::new(), Value::Nothing));
    }
    let order = Order { source: Arc::clone(source), offset: 0, length: source.size, digester, keep, last: true };
    let filled = run.reading.submit(order).wait().await?;
    Ok((filled.pieces, filled.digester.finish()))
}

/// Streams a part, or the whole file as one object. Returns its ETag and the digest of what was read.
pub(super) async fn stream(
    run: &Run,
    source: &Arc<Source>,
    url: &ObsUrl,
    part: Part,
    destined: Destined<'_>,
) -> Result<(String, Value, Check), Error> {
    let (known, metadata) = match destined {
        Destined::Object(known) | Destined::Held(known, _) => (known, source.metadata(run.options.preserve)),
        Destined::Part(_) => (Value::Nothing, Vec::new()),
    };
    let made = AtomicBool::new(false);
    let target = url.to_string();
    let verify = run.options.verify;
    let sent = run
        .client
        .retrying(async |attempt| {
            let options = match destined {
                Destined::Part(upload) => PutOptions { part: Some((part.number, upload.to_owned())), ..PutOptions::default() },
                _ => whole_options(known, &metadata, &made),
            };
            let meter = Meter::new(run);
            if let Destined::Held(_, pieces) = destined {
                let held = Held { pieces: pieces.iter().cloned().collect(), rate: run.rate.clone(), meter: Arc::clone(&meter) };
                let payload = Payload::Stream { length: part.length, pieces: Box::new(held) };
                let tags = match run.client.put_once(url, payload, &options).await {
                    Err(error) => Box::pin(sent_before(run, url, attempt, known, error)).await?,
                    Ok(tags) => tags,
                };
                made.store(true, Ordering::Relaxed);
                let check = known.compare(verify, "put", &target, &tags)?;
                meter.keep();
                return Ok::<_, Error>((tags.etag, known, check));
            }
            let digester = match known {
                Value::Nothing => Digester::for_upload(verify),
                _ => Digester::Nothing,
            };
            let reader = Reader::new(run, source, part, digester, &meter);
            let place = Arc::clone(&reader.place);
            let payload = Payload::Stream { length: part.length, pieces: Box::new(reader) };
            let tags = match run.client.put_once(url, payload, &options).await {
                Err(obs::Error::Source(_)) => return Err(lock(&place).failure.take().unwrap_or_else(|| source.changed())),
                Err(error) => Box::pin(sent_before(run, url, attempt, known, error)).await?,
                Ok(tags) => tags,
            };
            made.store(true, Ordering::Relaxed);
            let streamed = lock(&place).value().ok_or_else(|| obs::Error::Answer {
                operation: "put",
                target: target.clone(),
                message: "the store answered before it had all bytes".to_owned(),
            })?;
            let value = if streamed == Value::Nothing { known } else { streamed };
            let check = value.compare(verify, "put", &target, &tags)?;
            meter.keep();
            Ok((tags.etag, value, check))
        })
        .await;
    if !matches!(destined, Destined::Part(_)) {
        remove_if_corrupt(run, url, &sent).await;
    }
    sent
}

/// What arrived is known to be wrong: better no object than that one.
pub(super) async fn remove_if_corrupt<T>(run: &Run, url: &ObsUrl, sent: &Result<T, Error>) {
    if sent.as_ref().is_err_and(is_corrupt) {
        let _ = tokio::time::timeout(ABORT, run.client.delete(url)).await;
    }
}

/// The store's own CRC of the object proves it. An ETag does not: what it is depends on the store.
fn is_corrupt(error: &Error) -> bool {
    match error {
        Error::Exhausted { source, .. } => is_corrupt(source),
        Error::Store(obs::Error::Digest { digest, .. }) => *digest == "CRC",
        _ => false,
    }
}

/// Pieces that are in memory already.
struct Held {
    pieces: VecDeque<Bytes>,
    rate: Option<Arc<Rate>>,
    meter: Arc<Meter>,
}

impl Pieces for Held {
    fn next(&mut self) -> NextPiece {
        let piece = self.pieces.pop_front().unwrap_or_default();
        let (rate, meter) = (self.rate.clone(), Arc::clone(&self.meter));
        Box::pin(async move {
            take(rate.as_deref(), &piece).await;
            meter.add(piece.len());
            Ok(piece)
        })
    }
}

/// Has a part read piece by piece and digested on the way, always one piece ahead of the connection; the last piece is only
/// given if the file did not change meanwhile.
struct Reader {
    place: Arc<Mutex<Place>>,
    rate: Option<Arc<Rate>>,
    meter: Arc<Meter>,
}

/// How far a reader is.
struct Place {
    reading: Reading,
    source: Arc<Source>,
    offset: u64,
    left: u64,
    // Handed in while a piece is being read.
    digester: Option<Digester>,
    // The next piece is being read.
    ahead: Option<Ticket>,
    failure: Option<Error>,
}

fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// Has the next piece read; nothing if there is none, or while one is being read.
    fn order(&mut self) -> Option<Ticket> {
        let length = self.left.min(PIECE as u64);
        let digester = if length == 0 { None } else { self.digester.take() }?;
        let order = Order {
            source: Arc::clone(&self.source),
            offset: self.offset,
            length,
            digester,
            keep: true,
            last: length == self.left,
        };
        self.offset += length;
        self.left -= length;
        Some(self.reading.submit(order))
    }

    /// The digest of the part, if all of it was given.
    fn value(&mut self) -> Option<Value> {
        if self.left > 0 || self.ahead.is_some() { None } else { self.digester.take().map(Digester::finish) }
    }
}

impl Reader {
    fn new(run: &Run, source: &Arc<Source>, part: Part, digester: Digester, meter: &Arc<Meter>) -> Self {
        let place = Place {
            reading: run.reading.clone(),
            source: Arc::clone(source),
            offset: part.offset,
            left: part.length,
            digester: Some(digester),
            ahead: None,
            failure: None,
        };
        Self { place: Arc::new(Mutex::new(place)), rate: run.rate.clone(), meter: Arc::clone(meter) }
    }
}

impl Pieces for Reader {
    fn next(&mut self) -> NextPiece {
        let (place, rate, meter) = (Arc::clone(&self.place), self.rate.clone(), Arc::clone(&self.meter));
        Box::pin(async move {
            let ticket = {
                let mut place = lock(&place);
                place.ahead.take().or_else(|| place.order())
            };
            let Some(ticket) = ticket else { return Ok(Bytes::new()) };
            let piece = match ticket.wait().await {
                Ok(filled) => {
                    let mut place = lock(&place);
                    place.digester = Some(filled.digester);
                    place.ahead = place.order();
                    filled.pieces.into_iter().next().unwrap_or_default()
                }
                Err(error) => {
                    let message = error.to_string();
                    lock(&place).failure = Some(error);
                    return Err(message);
                }
            };
            take(rate.as_deref(), &piece).await;
            meter.add(piece.len());
            Ok(piece)
        })
    }
}

/// Waits until a piece may be sent.
async fn take(rate: Option<&Rate>, piece: &Bytes) {
    if let Some(rate) = rate {
        rate.take(piece.len() as u64).await;
    }
}
