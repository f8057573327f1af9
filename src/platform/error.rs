//! What can go wrong with the platform as a whole.

use std::io;
use std::path::{Path, PathBuf};

use super::{obs, state};

/// Failures of starting, stopping and serving.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the data directory.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried, as a verb: `create`, `read`, `write`.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the data directory holds something else than this program writes.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another program listens on a port.
    #[error("port {port} of 127.0.0.1 is in use by another program")]
    PortTaken {
        /// The port.
        port: u16,
        /// The option that chooses another one.
        option: &'static str,
    },
    /// A port cannot be listened on for another reason.
    #[error("cannot listen on port {port} of 127.0.0.1")]
    Listen {
        /// The port; 0 stands for any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// Another process serves the same data directory.
    #[error("another platform serves {}", data_dir.display())]
    Running {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The state file.
    #[error("the platform's state cannot be read or written")]
    State(#[from] state::Error),
    /// The object store.
    #[error("the object store cannot be opened")]
    Objects(#[from] obs::Error),
    /// The training service.
    #[error("the training service cannot be opened")]
    Training(#[from] super::modelarts::Error),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl Error {
    /// A failure with a file: what was tried, on which.
    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
