//! The platform's errors as the user sees them, and the note by which a detached start tells why it failed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::platform;

/// File of the data directory in which a detached start that fails says why.
const NOTE: &str = "platform.failure.json";

/// Kind, wording and hints for what goes wrong in the platform.
pub(super) fn explain(error: platform::Error) -> Error {
    let message = error.to_string();
    match error {
        platform::Error::PortTaken { option, .. } => Error::new(Kind::Conflict, message)
            .hint(format!("choose another port with {option} N (it is kept for later starts), or {option} 0 for any free one"))
            .hint("or end the program that uses it"),
        platform::Error::Running { .. } => {
            Error::new(Kind::Conflict, message).hint("see `ma-cli platform status`, or choose another --data-dir")
        }
        platform::Error::Damaged { path, .. } => Error::new(Kind::Local, message)
            .hint(format!("restore [{}] from a copy, or start anew with another --data-dir", path.display())),
        platform::Error::File { source, .. } => Error::new(Kind::Local, message).caused_by(source),
        platform::Error::Listen { source, .. } => Error::new(Kind::Local, message).caused_by(source),
        platform::Error::State(source) => Error::new(Kind::Local, message).caused_by(source),
        platform::Error::Objects(source) => Error::new(Kind::Local, message).caused_by(source),
        platform::Error::Training(source) => Error::new(Kind::Local, message).caused_by(source),
        other => Error::new(Kind::Local, other.to_string()),
    }
}

/// An error on its way from the detached process to the one the user waits for.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    pid: u32,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

/// Leaves the note; where that fails, the log has the error, too.
pub(super) fn leave(data_dir: &Path, error: &Error) {
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    let note = Note { pid: std::process::id(), message: error.message.clone(), causes, hints: error.hints.clone() };
    if let Ok(text) = serde_json::to_vec(&note) {
        let _ = std::fs::write(data_dir.join(NOTE), text);
    }
}

/// Takes the note that the process `pid` left.
pub(super) fn take(data_dir: &Path, pid: u32) -> Option<Error> {
    let path = data_dir.join(NOTE);
    let note: Note = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
    let _ = std::fs::remove_file(path);
    if note.pid != pid {
        return None;
    }
    let mut error = Error::new(Kind::Local, note.message);
    error.hints = note.hints;
    Some(if note.causes.is_empty() { error } else { error.caused_by(note.causes.join(": ")) })
}
