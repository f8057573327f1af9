//! What can go wrong before a task's process runs.

use std::io;
use std::path::{Path, PathBuf};

/// Why a job could not be prepared. The text is shown to users as the reason of an `Abnormal` job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder on this machine could not be made, read or removed.
    #[error("{action} {}: {source}", path.display())]
    Local {
        /// What was attempted, as in "cannot create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A transfer from or to the object store failed.
    #[error("{0}")]
    Transfer(String),
    /// The object store has nothing at a place the job names.
    #[error("nothing was found at {0}")]
    NothingThere(String),
    /// The job asks for something this platform does not have; the text says what.
    #[error("{0}")]
    Unsupported(String),
    /// The code directory is beyond its documented limits.
    #[error("the code directory {0}")]
    CodeLimit(String),
    /// The job contradicts itself, as a boot file that is not in the code directory.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// For `map_err`: names the action and the path of a failed file operation.
    pub fn local(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Local { action, path, source }
    }
}
