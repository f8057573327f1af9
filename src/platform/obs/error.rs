//! What can go wrong: when the store is opened ([`Error`]) and while it answers ([`Failure`]).

use std::io;
use std::path::PathBuf;

use s3s::{S3Error, S3ErrorCode};

/// Why the object store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder of the store cannot be made or read.
    #[error("cannot prepare the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index cannot be read or written.
    #[error("the index of the object store cannot be used")]
    Index(#[from] rusqlite::Error),
}

/// Why a request cannot be carried out. Turned into an answer by `From`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the index cannot be used")]
    Index(#[from] rusqlite::Error),
    #[error("a file cannot be used")]
    Io(#[from] io::Error),
    #[error("the index holds a damaged row")]
    Row(#[from] serde_json::Error),
    #[error("a task of the store ended early")]
    Task(#[from] tokio::task::JoinError),
    /// An answer meant for the client.
    #[error("{0}")]
    Answer(#[from] S3Error),
}

impl Failure {
    /// An answer with a code of the framework and a message.
    pub(super) fn answer(code: S3ErrorCode, message: impl Into<String>) -> Self {
        Self::Answer(S3Error::with_message(code, message.into()))
    }
}

impl From<S3ErrorCode> for Failure {
    fn from(code: S3ErrorCode) -> Self {
        Self::Answer(S3Error::new(code))
    }
}

impl From<Failure> for S3Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Answer(answer) => answer,
            Failure::Io(source) if source.kind() == io::ErrorKind::StorageFull => {
                custom("InsufficientStorageSpace", http::StatusCode::FORBIDDEN, "The disk of the platform is full.")
            }
            other => {
                let mut answer = Self::with_message(S3ErrorCode::InternalError, other.to_string());
                answer.set_source(Box::new(other));
                answer
            }
        }
    }
}

/// An answer whose code the framework does not know.
pub(super) fn custom(code: &'static str, status: http::StatusCode, message: impl Into<String>) -> S3Error {
    let mut answer = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.into());
    answer.set_status_code(status);
    answer
}
