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
use crate::copy::plan::Plan;

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
    /// [`Error::Local`] when the file cannot be made; [`Error::Plan`] when it is the list of names to copy, or a part of what
    /// is copied or of where it goes.
    pub fn create(path: &Path, names: Option<&Path>, plan: &Plan) -> Result<Self, Error> {
        check_apart(path, plan)?;
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

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|status| (status.dev(), status.ino()))
}

/// A report must not replace what is copied, nor be replaced by it.
fn check_apart(path: &Path, plan: &Plan) -> Result<(), Error> {
    // Without links; what is not there yet is where its folder is.
    let real =
        |path: &Path| path.canonicalize().ok().or_else(|| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?)));
    let (role, is_folder, side) = match plan {
        Plan::UploadFile { source, .. } => ("source", false, source),
        Plan::UploadFolder { source, .. } => ("source", true, source),
        Plan::DownloadFile { destination, .. } => ("destination", false, destination),
        Plan::DownloadFolder { destination, .. } => ("destination", true, destination),
        Plan::CopyObject { .. } | Plan::CopyFolder { .. } => return Ok(()),
    };
    let is_same = identity(path).is_some_and(|report| identity(side) == Some(report));
    let is_part = match (real(path), real(side)) {
        (Some(report), Some(side)) => report == side || (is_folder && report.starts_with(&side)),
        _ => false,
    };
    if !is_same && !is_part {
        return Ok(());
    }
    let (report, side) = (path.display(), side.display());
    let message = if is_folder {
        format!("the report [{report}] would be inside of the {role} [{side}]; write it somewhere else")
    } else {
        format!("the report [{report}] is the {role} itself; write it somewhere else")
    };
    Err(Error::Plan(message))
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
    use crate::copy::plan::Plan;
    use crate::obs::ObsUrl;

    fn plan() -> Plan {
        Plan::CopyObject { source: ObsUrl::new("b", "from"), destination: ObsUrl::new("b", "to") }
    }

    #[test]
    fn is_no_part_of_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("data/sub")).unwrap();
        std::fs::write(root.join("data/file"), "precious").unwrap();
        std::os::unix::fs::symlink("data/sub", root.join("link")).unwrap();
        std::fs::hard_link(root.join("data/file"), root.join("other")).unwrap();
        let url = ObsUrl::new("b", "k");
        let refused = [
            (Plan::UploadFile { source: root.join("data/file"), destination: url.clone() }, "data/../data/file"),
            (Plan::UploadFile { source: root.join("data/file"), destination: url.clone() }, "other"),
            (Plan::UploadFolder { source: root.join("data/"), destination: url.clone() }, "data/file"),
            (Plan::UploadFolder { source: root.join("data"), destination: url.clone() }, "link/report"),
            (Plan::DownloadFile { source: url.clone(), destination: root.join("new") }, "new"),
            (Plan::DownloadFolder { source: url.clone(), destination: root.join("data") }, "data/report"),
            (Plan::DownloadFolder { source: url.clone(), destination: root.join("new/") }, "new"),
        ];
        for (plan, report) in refused {
            assert!(Report::create(&root.join(report), None, &plan).is_err(), "{plan:?} {report}");
        }
        assert_eq!(std::fs::read_to_string(root.join("data/file")).unwrap(), "precious");
        let mut names: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["data", "link", "other"], "nothing was made");
        let beside = Plan::UploadFolder { source: root.join("data"), destination: url };
        assert!(Report::create(&root.join("data-report"), None, &beside).is_ok());
    }

    #[test]
    fn is_private_and_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        let report = Report::create(&path, None, &plan()).unwrap();
        report.record(&Line { bytes: Some(3), check: Some("md5"), ..Line::new("a\"\n", Status::Done) });
        report.record(&Line { error: Some("no"), ..Line::new("b", Status::Failed) });
        report.finish().unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        let expected = "{\"name\":\"a\\\"\\n\",\"status\":\"done\",\"bytes\":3,\"check\":\"md5\"}\n\
                        {\"name\":\"b\",\"status\":\"failed\",\"error\":\"no\"}\n";
        assert_eq!(lines, expected);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Report::create(&path, Some(&folder.path().join("./report")), &plan()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "a list of names is not lost");
    }

    #[test]
    fn says_when_the_disk_is_full() {
        let report = Report::create(std::path::Path::new("/dev/full"), None, &plan()).unwrap();
        report.record(&Line::new("a", Status::Done));
        assert!(report.finish().is_err());
    }
}
