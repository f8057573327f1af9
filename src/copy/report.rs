//! A file that says of every object what became of it: JSON Lines, written as it goes.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::copy::digest::Check;
use crate::copy::error::Error;
use crate::copy::event::{Event, EventSink};

/// Lines wait in memory no longer than this, while more come.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It arrived, complete and checked.
    Done,
    /// It was left as it is.
    Skipped,
    /// It could not be copied.
    Failed,
    /// It was removed from the destination.
    Deleted,
}

/// One line of a report.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line<'a> {
    /// Name relative to the source, or to the destination for what was deleted.
    pub name: &'a str,
    /// What became of it.
    pub status: Status,
    /// Its size, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How it was made sure that the bytes arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<&'static str>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl<'a> Line<'a> {
    /// A line without details.
    pub fn new(name: &'a str, status: Status) -> Self {
        Self { name, status, bytes: None, check: None, error: None, reason: None }
    }
}

/// A report under way; used from many tasks at once.
#[derive(Debug)]
pub struct Report {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: BufWriter<File>,
    flushed: Instant,
    // The first line that could not be written ends the report.
    broken: Option<io::Error>,
}

impl Report {
    /// Begins a report that only its owner may read; replaces one that is there.
    ///
    /// # Errors
    /// [`Error::Local`] when the file cannot be made; [`Error::Plan`] when it is the list of names to copy.
    pub fn create(path: &Path, names: Option<&Path>) -> Result<Self, Error> {
        let identity = |path: &Path| std::fs::metadata(path).ok().map(|status| (status.dev(), status.ino()));
        if names.and_then(identity).is_some_and(|names| identity(path) == Some(names)) {
            return Err(Error::Plan(format!("[{}] cannot be both the list of names and the new report", path.display())));
        }
        let failed = |error| Error::local("create the report", path, error);
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
        let state = State { file: BufWriter::with_capacity(64 * 1024, file), flushed: Instant::now(), broken: None };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// Adds a line.
    pub fn record(&self, line: &Line<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken.is_some() {
            return;
        }
        if let Err(error) = state.write(line) {
            state.broken = Some(error);
        }
    }

    /// Makes sure that every line is in the file.
    ///
    /// # Errors
    /// [`Error::Local`] when some line could not be written.
    pub fn finish(&self) -> Result<(), Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let flushed = state.file.flush();
        match state.broken.take().map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(Error::local("write the report", &self.path, error)),
        }
    }
}

impl State {
    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")?;
        if self.flushed.elapsed() > PATIENCE {
            self.flushed = Instant::now();
            self.file.flush()?;
        }
        Ok(())
    }
}

/// Takes down what events tell of, and passes them on.
#[derive(Debug)]
pub struct Recording {
    /// Who else watches.
    pub watcher: Arc<dyn EventSink>,
    /// Where it is taken down.
    pub report: Arc<Report>,
}

impl EventSink for Recording {
    fn event(&self, event: Event) {
        match &event {
            Event::Finished { name, bytes, check } => {
                let line = Line { bytes: Some(*bytes), check: Some(word(*check)), ..Line::new(name, Status::Done) };
                self.report.record(&line);
            }
            Event::Failed { name, message } => {
                self.report.record(&Line { error: Some(message), ..Line::new(name, Status::Failed) });
            }
            _ => {}
        }
        self.watcher.event(event);
    }
}

fn word(check: Check) -> &'static str {
    match check {
        Check::Md5 => "md5",
        Check::Crc => "crc",
        Check::Size => "size",
        Check::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Line, Report, Status};

    #[test]
    fn is_private_and_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        let report = Report::create(&path, None).unwrap();
        report.record(&Line { bytes: Some(3), check: Some("md5"), ..Line::new("a\"\n", Status::Done) });
        report.record(&Line { error: Some("no"), ..Line::new("b", Status::Failed) });
        report.finish().unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        let expected = "{\"name\":\"a\\\"\\n\",\"status\":\"done\",\"bytes\":3,\"check\":\"md5\"}\n\
                        {\"name\":\"b\",\"status\":\"failed\",\"error\":\"no\"}\n";
        assert_eq!(lines, expected);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Report::create(&path, Some(&folder.path().join("./report"))).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "a list of names is not lost");
    }

    #[test]
    fn says_when_the_disk_is_full() {
        let report = Report::create(std::path::Path::new("/dev/full"), None).unwrap();
        report.record(&Line::new("a", Status::Done));
        assert!(report.finish().is_err());
    }
}
