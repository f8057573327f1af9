//! `--delete`: what the destination has and the source has not. Found after a copy without failures, kept in a file until it is
//! decided, then deleted.

mod local;
mod remote;
mod spool;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::copy::error::Error;
use crate::copy::options::Options;
use crate::copy::plan::Plan;
use crate::copy::preview::{Action, Each, folder_text};
use crate::copy::report::{Line, Report, Status};
use crate::copy::scan::names::in_thread;
use crate::copy::select::Selection;
use crate::copy::select::seen::Sorted;
use crate::copy::summary::Failure;
use crate::obs::{Client, ObsUrl};

pub use spool::{Extra, Spool};

/// What would be deleted.
#[derive(Debug)]
pub struct Extras {
    /// Files or objects.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Bytes.
    pub bytes: u64,
    /// The source had nothing at all: a wrong path rather than a wish.
    pub source_is_empty: bool,
    side: Side,
    spool: Spool,
}

/// What was deleted.
#[derive(Debug, Default)]
pub struct Deleted {
    /// Files or objects.
    pub files: u64,
    /// What could not be deleted.
    pub failures: Vec<Failure>,
}

#[derive(Clone, Debug)]
enum Side {
    Store(ObsUrl),
    Disk(PathBuf),
}

/// Finds what the destination has beyond what the scan of the copy saw. Names that the selection leaves are not looked at.
///
/// # Errors
/// The destination cannot be read to its end.
pub async fn find(client: &Client, plan: &Plan, options: &Options, cancel: &CancellationToken) -> Result<Extras, Error> {
    let selection = Arc::clone(&options.selection);
    let seen = selection.seen.as_ref().ok_or_else(|| Error::Plan("the copy took down nothing".to_owned()))?.sorted();
    let source_is_empty = seen.is_empty();
    let (side, spool) = match plan.clone() {
        Plan::UploadFolder { source, destination } => {
            let destination = destination.as_folder();
            let finding = remote::find(client, Some(&source), &destination, &selection, &seen);
            let spool = cancel.run_until_cancelled(finding).await.ok_or(Error::Cancelled)??;
            (Side::Store(destination), spool)
        }
        Plan::CopyFolder { destination, .. } => {
            let destination = destination.as_folder();
            let finding = remote::find(client, None, &destination, &selection, &seen);
            let spool = cancel.run_until_cancelled(finding).await.ok_or(Error::Cancelled)??;
            (Side::Store(destination), spool)
        }
        Plan::DownloadFolder { destination, .. } => {
            let path = destination.clone();
            let finding = in_thread(move || local::find(&path, &selection, &seen));
            let spool = cancel.run_until_cancelled(finding).await.ok_or(Error::Cancelled)??;
            (Side::Disk(destination), spool)
        }
        _ => return Err(Error::Plan("only folders have mirrors".to_owned())),
    };
    let (files, folders, bytes) = spool.counts();
    Ok(Extras { files, folders, bytes, source_is_empty, side, spool })
}

impl Extras {
    /// Whether there is nothing to delete.
    pub fn is_empty(&self) -> bool {
        self.files + self.folders == 0
    }

    /// Where they are.
    pub fn place(&self) -> String {
        match &self.side {
            Side::Store(url) => url.to_string(),
            Side::Disk(path) => path.display().to_string(),
        }
    }

    /// Tells of each; blocking.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn tell(&mut self, each: Each<'_>) -> Result<(), Error> {
        let base = match &self.side {
            Side::Store(url) => url.to_string(),
            Side::Disk(path) => folder_text(path),
        };
        let mut reading = self.spool.read()?;
        while let Some(extra) = reading.next_extra()? {
            let destination = [base.as_str(), extra.name.as_str()];
            let reason = "not in the source";
            let action = Action { action: "delete", source: None, destination, bytes: extra.bytes, reason };
            if each(&action) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    /// Deletes them.
    ///
    /// # Errors
    /// What ends it all: refused, no connection, stopped. What is deleted by then stays so.
    pub async fn delete(mut self, client: &Client, options: &Options, cancel: &CancellationToken) -> Result<Deleted, Error> {
        let report = options.selection.report.clone();
        match self.side.clone() {
            Side::Store(url) => remote::delete(client, &url, &mut self.spool, report.as_deref(), cancel).await,
            Side::Disk(path) => {
                let cancel = cancel.clone();
                in_thread(move || local::delete(&path, &mut self.spool, report.as_deref(), &cancel)).await
            }
        }
    }
}

impl Deleted {
    fn count(&mut self, report: Option<&Report>, extra: &Extra) {
        self.files += u64::from(!extra.is_folder);
        if let Some(report) = report {
            report.record(&Line { bytes: Some(extra.bytes), ..Line::new(&extra.name, Status::Deleted) });
        }
    }

    fn fail(&mut self, report: Option<&Report>, name: String, error: Error) {
        if let Some(report) = report {
            report.record(&Line { error: Some(&error.to_string()), ..Line::new(&name, Status::Failed) });
        }
        self.failures.push(Failure { name, error });
    }
}

/// Whether something at the destination is not in the source, though it is asked for.
fn is_extra(selection: &Selection, seen: &Sorted, name: &str, is_folder: bool) -> bool {
    use crate::copy::select::Seen;

    if is_folder {
        selection.takes_folder(name) && !seen.has(Seen::folder(name))
    } else {
        selection.takes(name) && !seen.has(Seen::file(name))
    }
}
