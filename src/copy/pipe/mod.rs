//! Streams: what comes through a pipe becomes an object, and an object goes into a pipe.
//!
//! A stream cannot be read twice, so each part is held in memory until the store has it. Parts begin small and grow, because
//! nobody knows how many there will be: a stream of up to 6 GiB is sent in parts of 6 MiB, and 10,000 parts reach 5 TiB.

mod fetch;
mod send;

use std::io::{Read, Write};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::copy::error::Error;
use crate::copy::event::{Event, EventSink};
use crate::copy::run::Run;
use crate::copy::{Options, Summary};
use crate::obs::{Client, ObsUrl};

/// How a stream is called where a name is needed.
pub const NAME: &str = "-";

/// Makes an object of what the reader gives until its end. Blocking reads are made off the async threads.
///
/// # Errors
/// What stopped it; nothing is then at the destination that was not there before.
pub async fn from_reader<R: Read + Send + 'static>(
    client: &Client,
    reader: R,
    destination: &ObsUrl,
    options: &Options,
    events: Arc<dyn EventSink>,
    cancel: &CancellationToken,
) -> Result<Summary, Error> {
    if destination.is_folder() {
        let message = format!("a stream has no name: the destination [{destination}] must be an object, not a folder");
        return Err(Error::Plan(message));
    }
    let started = std::time::Instant::now();
    let run = Run::new(client.clone(), options.clone(), events, cancel.child_token());
    let done = send::stream(&run, reader, destination).await?;
    run.events.event(Event::ScanDone);
    let mut summary = run.summarise_one(NAME.to_owned(), done);
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// Writes an object to the writer, in order; what comes next is fetched meanwhile.
///
/// # Errors
/// What stopped it; the writer may have taken a part by then. Only when it returns is it known that all bytes were right.
pub async fn to_writer<W: Write + Send + 'static>(
    client: &Client,
    source: &ObsUrl,
    writer: W,
    options: &Options,
    events: Arc<dyn EventSink>,
    cancel: &CancellationToken,
) -> Result<Summary, Error> {
    if source.is_folder() {
        return Err(Error::Plan(format!("[{source}] is a folder; a stream is one object")));
    }
    let started = std::time::Instant::now();
    let run = Run::new(client.clone(), options.clone(), events, cancel.child_token());
    let done = fetch::stream(&run, source, writer).await?;
    let mut summary = run.summarise_one(NAME.to_owned(), done);
    summary.elapsed = started.elapsed();
    Ok(summary)
}
