//! Why a copy, or one file of it, failed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::obs;

/// Failures of the copier.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Source and destination make no sense together.
    #[error("{0}")]
    Plan(String),
    /// Nothing is at the source.
    #[error("the source [{0}] does not exist")]
    NoSource(String),
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] obs::Error),
    /// This machine failed: files, folders, disk.
    #[error("cannot {action} [{}]: {source}", .path.display())]
    Local {
        /// What was being done, such as `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What is to be downloaded is more than the disk can take.
    #[error("there is no room for it at [{}]: at least {} are to be written, {} are free", .path.display(), bytes(*.needed), bytes(*.free))]
    NoRoom {
        /// Folder that the download goes to.
        path: PathBuf,
        /// Bytes, as far as known when it was found out.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// The source changed under the copy.
    #[error("[{0}] changed while it was copied")]
    Changed(String),
    /// What is at the destination came while the file was copied, and is to be kept.
    #[error("[{0}] exists already")]
    Exists(String),
    /// A key or name that cannot exist on the other side.
    #[error("[{name}] cannot be placed: {reason}")]
    Unplaceable {
        /// The key or path, shown with its control characters escaped.
        name: String,
        /// Why.
        reason: String,
    },
    /// The check that was asked for cannot be made.
    #[error("[{target}] cannot be verified by {check}: {reason}")]
    Unverifiable {
        /// The `obs://` address.
        target: String,
        /// The check that was asked for.
        check: &'static str,
        /// What is missing.
        reason: &'static str,
    },
    /// Tried again as often as the policy allows.
    #[error("{source} (after {attempts} attempts in {:.1} s)", .elapsed.as_secs_f64())]
    Exhausted {
        /// The last failure.
        source: Box<Self>,
        /// Attempts made.
        attempts: u32,
        /// Time since the first attempt began.
        elapsed: Duration,
    },
    /// The store kept what was to be deleted.
    #[error("[{name}] was not deleted: {reason}")]
    NotDeleted {
        /// The key.
        name: String,
        /// The store's code and words.
        reason: String,
    },
    /// Stopped on request.
    #[error("the copy was interrupted")]
    Cancelled,
}

impl Error {
    /// A failure of this machine.
    pub fn local(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Local { action, path: path.into(), source }
    }

    /// A name that cannot be placed; control characters are escaped, so that it can be shown.
    pub fn unplaceable(name: &str, reason: impl Into<String>) -> Self {
        Self::Unplaceable { name: name.escape_debug().to_string(), reason: reason.into() }
    }

    /// The store's failure, if it is one.
    pub fn store(&self) -> Option<&obs::Error> {
        match self {
            Self::Store(error) => Some(error),
            Self::Exhausted { source, .. } => source.store(),
            _ => None,
        }
    }

    /// Every other file would fail the same way, so the run ends: unknown caller, no such bucket, stopped.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Cancelled | Self::NoRoom { .. })
            || self.store().is_some_and(|error| error.is_unauthenticated() || error.is_no_such_bucket() || error.is_elsewhere())
    }

    /// What was transferred of the file is still good: the same copy, run again, can go on with it.
    pub fn may_go_on(&self) -> bool {
        match self {
            Self::Cancelled | Self::Local { .. } => true,
            Self::Exhausted { source, .. } => source.may_go_on(),
            Self::Store(error) => match error.status() {
                Some(status) => status >= 500 || matches!(status, 401 | 403 | 408 | 429) || error.is_expired(),
                None => true,
            },
            _ => false,
        }
    }

    /// Ends the run if it happens to every file from the beginning: not allowed, here or there, or no connection.
    pub fn is_fatal_at_first(&self) -> bool {
        // A file that cannot be read says nothing of the next one; a folder that cannot be written to does.
        let here = matches!(self, Self::Local { action, source, .. } if *action != "read" && is_locked(source));
        here || self.store().is_some_and(|error| error.is_refusal() || error.is_network())
    }
}

/// Nobody may write there, or not we.
fn is_locked(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", count as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", count as f64 / 1_073_741_824.0),
    }
}

impl obs::error::Failure for Error {
    fn as_obs(&self) -> Option<&obs::Error> {
        self.store()
    }

    fn exhausted(self, attempts: u32, elapsed: Duration) -> Self {
        Self::Exhausted { source: Box::new(self), attempts, elapsed }
    }
}
