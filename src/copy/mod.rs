//! The copier: files and folders between disk and object store, in parallel and verified.
//!
//! [`copy`] is the only way in. The path of one file: [`plan`] says what goes where, [`scan`] finds it, [`budget`] gives leave
//! to hold its bytes, [`upload`] or [`download`] moves it, [`event`] and [`summary`] tell of it.

pub mod budget;
mod desk;
pub mod destination;
pub mod digest;
pub mod download;
pub mod error;
pub mod event;
pub mod journal;
pub mod key;
mod meter;
pub mod mirror;
pub mod options;
pub mod pace;
pub mod partial;
pub mod parts;
pub mod pipe;
pub mod plan;
pub mod preflight;
pub mod preview;
pub mod rate;
mod remote;
mod remote_parts;
pub mod report;
mod resolve;
mod run;
pub mod scan;
pub mod select;
mod single;
pub mod summary;
mod tally;
mod unnamed;
pub mod update;
pub mod upload;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use digest::Verify;
pub use error::Error;
pub use event::{Event, EventSink, Silent};
pub use options::{Options, Preserve};
pub use plan::Plan;
pub use preview::preview;
pub use select::Selection;
pub use summary::{Failure, Summary};

use crate::obs;

/// Carries a plan out. Files that fail are listed in the summary while the rest goes on.
///
/// # Errors
/// What stops the whole run: refused credentials, no such bucket, no connection at all, the one file of a plan for one file,
/// a source that cannot be listed, and [`Error::Cancelled`]. Uploads begun and partial files are removed before it returns.
pub async fn copy(
    client: &obs::Client,
    plan: Plan,
    options: &Options,
    events: Arc<dyn EventSink>,
    cancel: &CancellationToken,
) -> Result<Summary, Error> {
    let run = run::Run::new(client.clone(), options.clone(), events, cancel.child_token());
    // A task of its own, so that it runs beside those that it waits for: the caller may be a thread that has to be woken.
    let running = AbortOnDropHandle::new(tokio::spawn(run.execute(plan)));
    running.await.unwrap_or_else(|error| Err(Error::local("carry out", "", std::io::Error::other(error))))
}
