//! The two files by which platform and supervisor speak: `spec.json` tells what to run, `status.json` what became of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::platform::runner::container::Container;
use crate::platform::runner::layout::{supervisor_mark, task_mark};
use crate::platform::runner::process::{ProcessId, kill_marked};

/// Name of the file that tells a supervisor what to run.
pub const SPEC_FILE: &str = "spec.json";

/// Name of the file in which a supervisor tells what became of it.
pub const STATUS_FILE: &str = "status.json";

/// The stage that runs the user's program; every other stage prepares for it.
pub const TRAINING: &str = "training";

/// One program that a task runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// What it is for: `venv`, `pip` or [`TRAINING`].
    pub stage: String,
    /// Program and arguments.
    pub argv: Vec<String>,
}

/// What a supervisor is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Task id, as `worker-0`.
    pub task: String,
    /// Folder of the status file and the usage samples.
    pub folder: PathBuf,
    /// File that standard output and error are appended to.
    pub log: PathBuf,
    /// Programs to run one after the other; the first that fails ends the task.
    pub steps: Vec<Step>,
    /// Words before each program: what makes its surroundings and then becomes it.
    #[serde(default)]
    pub wrapper: Vec<String>,
    /// The container that the last program is the client of.
    #[serde(default)]
    pub container: Option<Container>,
    /// Where they run.
    pub working_directory: PathBuf,
    /// Their whole environment.
    pub environment: BTreeMap<String, String>,
    /// Milliseconds between SIGTERM and SIGKILL when the task is stopped.
    pub grace: u64,
    /// Milliseconds between two samples of CPU and memory.
    pub sample_period: u64,
    /// Cores of the flavor: 100 % CPU.
    pub cores: u32,
    /// Memory of the flavor in bytes: 100 % memory.
    pub memory: u64,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// Exit code; 128 plus the signal when a signal ended it; 127 when the program could not be started.
    pub exit_code: i32,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Stage that ended it.
    pub stage: String,
    /// More than the exit code says; may be empty.
    pub message: String,
    /// The supervisor had been told to end it by then.
    #[serde(default)]
    pub stopped: bool,
}

/// What a supervisor has done so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The supervisor itself.
    pub supervisor: ProcessId,
    /// The program that runs, leader of its process group.
    pub process: Option<ProcessId>,
    /// The stage that runs or ran last.
    pub stage: String,
    /// The end, once it has come.
    pub finish: Option<Finish>,
}

/// What is known of a task from its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// No supervisor has taken it up yet.
    NotStarted,
    /// Its supervisor lives; the stage it is in.
    Running(String),
    /// It has ended, and how is known.
    Finished(Finish),
    /// Its supervisor is gone without a word.
    Vanished(TaskStatus),
}

impl TaskStatus {
    /// Takes the task up: `false` when another supervisor has done so before.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn claim(&self, folder: &Path) -> io::Result<bool> {
        let temporary = folder.join(format!("{STATUS_FILE}.{}", self.supervisor.pid));
        write_json(&temporary, self)?;
        let claimed = fs::hard_link(&temporary, folder.join(STATUS_FILE));
        fs::remove_file(&temporary)?;
        match claimed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces the status file; a reader sees the old or the new one, never a part.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        replace_json(&folder.join(STATUS_FILE), self)
    }

    /// Kills the task's programs, wherever they have moved to and whoever is their parent now, and its container; not the
    /// supervisor. Returns whether nothing was left: until then it is to be called again.
    pub fn kill_programs(&self, folder: &Path) -> bool {
        if let Some(process) = self.process {
            process.signal_group(Signal::KILL);
        }
        kill_marked(&task_mark(folder), self.process.as_slice()) & remove_container(folder)
    }
}

/// Removes the container of a task, if it has one; `false` when that is not sure.
fn remove_container(folder: &Path) -> bool {
    let spec = read_json::<TaskSpec>(&folder.join(SPEC_FILE)).ok().flatten();
    spec.and_then(|spec| spec.container).is_none_or(|container| container.remove())
}

/// Kills a task of which nothing is known but its folder: its supervisor, and its programs wherever they have moved to, with its
/// container. Returns whether nothing was left: until then it is to be called again.
pub fn kill_all(folder: &Path) -> bool {
    // The supervisor first: it would write into the folder, which is another start's then.
    let has_none = kill_marked(&supervisor_mark(folder), &[]);
    kill_marked(&task_mark(folder), &[]) & remove_container(folder) & has_none
}

/// Looks at a task's folder.
///
/// # Errors
/// The status file is there but cannot be read.
pub fn observe(folder: &Path) -> io::Result<Observed> {
    let file = folder.join(STATUS_FILE);
    let read = || read_json::<TaskStatus>(&file);
    let Some(status) = read()? else { return Ok(Observed::NotStarted) };
    if status.finish.is_none() && status.supervisor.is_alive() {
        return Ok(Observed::Running(status.stage));
    }
    // Read again: it may have written its last word and ended between the two looks.
    let status = read()?.unwrap_or(status);
    Ok(match status.finish.clone() {
        Some(finish) => Observed::Finished(finish),
        None => Observed::Vanished(status),
    })
}

/// Reads a JSON file; `None` when there is none.
///
/// # Errors
/// It cannot be read or does not hold a `T`.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a JSON file for its owner only, in one step.
///
/// # Errors
/// The folder cannot be written.
pub fn replace_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let temporary = path.with_extension("new");
    write_json(&temporary, value)?;
    fs::rename(&temporary, path)
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec(value)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;

    use super::{Finish, Observed, ProcessId, TaskStatus, kill_all, observe, supervisor_mark, task_mark};
    use crate::platform::runner::process::MARK;

    fn status(supervisor: ProcessId) -> TaskStatus {
        TaskStatus { supervisor, process: None, stage: "training".into(), finish: None }
    }

    #[test]
    fn a_task_is_taken_up_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(observe(folder.path()).unwrap(), Observed::NotStarted);
        let mine = status(ProcessId::current().unwrap());
        assert!(mine.claim(folder.path()).unwrap());
        assert!(!status(ProcessId { pid: 1, start_time: 0 }).claim(folder.path()).unwrap());
        assert_eq!(observe(folder.path()).unwrap(), Observed::Running("training".into()));
    }

    #[test]
    fn a_dead_supervisor_is_vanished_unless_it_left_a_result() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = status(ProcessId { pid: 1, start_time: u64::MAX });
        gone.save(folder.path()).unwrap();
        assert_eq!(observe(folder.path()).unwrap(), Observed::Vanished(gone.clone()));
        let finish = Finish { exit_code: 3, at: 1, stage: "training".into(), message: String::new(), stopped: false };
        gone.finish = Some(finish.clone());
        gone.save(folder.path()).unwrap();
        assert_eq!(observe(folder.path()).unwrap(), Observed::Finished(finish));
    }

    #[test]
    fn a_task_is_killed_with_its_supervisor_by_its_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sleeper = |mark: String| {
            let mut command = std::process::Command::new("sleep");
            command.arg("600").env(MARK, mark).spawn().unwrap()
        };
        let mut children = [supervisor_mark(folder.path()), task_mark(folder.path())].map(sleeper);
        let mut other = sleeper(task_mark(Path::new("/jobs/other/worker-0")));
        let started = std::time::Instant::now();
        while !kill_all(folder.path()) {
            assert!(started.elapsed().as_secs() < 30);
        }
        for child in &mut children {
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
