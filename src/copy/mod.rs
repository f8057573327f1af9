//! The copier: files and folders between disk and object store, in parallel and verified.
//!
//! [`copy`] is the only way in. The path of one file: [`plan`] says what goes where, [`scan`] finds it, [`budget`] gives leave
//! to hold its bytes, [`upload`] or [`download`] moves it, [`event`] and [`summary`] tell of it.

pub mod budget;
pub mod destination;
pub mod digest;
pub mod download;
pub mod error;
pub mod event;
pub mod key;
pub mod parts;
pub mod plan;
mod resolve;
mod run;
pub mod scan;
pub mod summary;
pub mod upload;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use digest::Verify;
pub use error::Error;
pub use event::{Event, EventSink, Silent};
pub use plan::Plan;
pub use summary::{Failure, Summary};

use crate::obs;

/// How a copy is carried out.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests in flight at most.
    pub jobs: usize,
    /// Size of the parts of large files in bytes; `None` to choose by file size.
    pub part_size: Option<u64>,
    /// How it is made sure that the bytes arrived.
    pub verify: Verify,
    /// Bytes of file content held in memory at most.
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { jobs: budget::SLOTS, part_size: None, verify: Verify::Auto, memory: budget::MEMORY }
    }
}

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
    run::Run::new(client.clone(), options.clone(), events, cancel.child_token()).execute(plan).await
}
