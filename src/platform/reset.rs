//! Deletes what a platform has stored, and nothing else that lies in its data directory.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::error::Error;
use super::files;
use super::instance::Lock;
use super::runner::spec::{STATUS_FILE, TaskStatus, read_json};

/// How long tasks may take to end: longer than the ten seconds that their supervisors give them before they kill.
const TASKS_END_WITHIN: Duration = Duration::from_secs(20);

/// How long killed ones are waited for; those that hang in the kernel are left to it.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Pause between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Everything the platform makes in its data directory. What marks the folder as a platform's is last, so that a reset that
/// was cut short can be carried out again.
const OWNED: [&str; 11] = [
    "jobs",
    "obs",
    "platform.failure.json",
    "state.sqlite-wal",
    "state.sqlite-shm",
    files::STATE,
    files::CLIENT_PROFILE,
    files::RECORD,
    "platform.log.old",
    files::LOG,
    files::INSTALLATION,
];

/// Whether the folder is a platform's data directory.
pub fn is_platform(data_dir: &Path) -> bool {
    data_dir.join(files::INSTALLATION).is_file()
}

/// A platform that is about to be deleted; it cannot be started meanwhile.
#[derive(Debug)]
pub struct Reset {
    data_dir: PathBuf,
    lock: Lock,
}

impl Reset {
    /// Makes sure that nobody serves the data directory.
    ///
    /// # Errors
    /// Somebody does.
    pub fn prepare(data_dir: &Path) -> Result<Self, Error> {
        Ok(Self { data_dir: data_dir.to_owned(), lock: Lock::take(data_dir)? })
    }

    /// Ends the tasks that still run, deletes what the platform has stored, and the folder if nothing else is left in it.
    ///
    /// # Errors
    /// Something cannot be deleted; what is left can be deleted by another reset.
    pub fn carry_out(self) -> Result<(), Error> {
        end_tasks(&self.data_dir.join("jobs"));
        for name in OWNED {
            let path = self.data_dir.join(name);
            remove(&path).map_err(Error::file("delete", &path))?;
        }
        // Under the lock, which goes with its file.
        let path = self.data_dir.join(files::LOCK);
        remove(&path).map_err(Error::file("delete", &path))?;
        drop(self.lock);
        // Fails when a file of somebody else is left, as it should.
        let _ = std::fs::remove_dir(&self.data_dir);
        Ok(())
    }
}

/// Tells the supervisors of running tasks to end them, and waits for it; those that do not end are killed, and the programs of
/// those that are gone.
fn end_tasks(jobs: &Path) {
    let mut tasks: Vec<PathBuf> = folders(jobs).flat_map(|job| folders(&job)).collect();
    for status in tasks.iter().filter_map(|task| unfinished(task)) {
        status.supervisor.signal(Signal::TERM);
    }
    let deadline = Instant::now() + TASKS_END_WITHIN;
    loop {
        let late = Instant::now() >= deadline;
        tasks.retain(|task| !has_ended(task, late));
        if tasks.is_empty() || Instant::now() >= deadline + KILLED_WITHIN {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Whether nothing of a task runs any more; what runs without a supervisor is killed, everything when it is late.
fn has_ended(task: &Path, late: bool) -> bool {
    let Some(status) = unfinished(task) else { return true };
    if late {
        status.supervisor.signal(Signal::KILL);
    } else if status.supervisor.is_alive() {
        return false;
    }
    status.kill_programs(task)
}

/// What is known of a task whose end is not.
fn unfinished(task: &Path) -> Option<TaskStatus> {
    read_json::<TaskStatus>(&task.join(STATUS_FILE)).ok()?.filter(|status| status.finish.is_none())
}

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
}

/// Removes a file or a folder with everything in it; links are removed, never followed.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::super::runner::process::{MARK, ProcessId};
    use super::{Error, Lock, OWNED, Reset, TaskStatus, files, is_platform};

    #[test]
    fn only_what_the_platform_made_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("platform");
        std::fs::create_dir_all(data_dir.join("jobs/1/worker-0")).unwrap();
        std::fs::write(data_dir.join(files::INSTALLATION), "{}").unwrap();
        std::fs::write(data_dir.join("thesis.tex"), "mine").unwrap();
        std::os::unix::fs::symlink(folder.path(), data_dir.join("obs")).unwrap();
        let mut task = Command::new("sleep").arg("600").spawn().unwrap();
        let supervisor = ProcessId::of(task.id().cast_signed()).unwrap();
        let status = TaskStatus { supervisor, process: None, stage: "training".to_owned(), finish: None };
        status.save(&data_dir.join("jobs/1/worker-0")).unwrap();
        assert!(is_platform(&data_dir));
        let lock = Lock::take(&data_dir).unwrap();
        assert!(matches!(Reset::prepare(&data_dir), Err(Error::Running { .. })));
        drop(lock);
        Reset::prepare(&data_dir).unwrap().carry_out().unwrap();
        assert!(!task.wait().unwrap().success(), "a task that runs is ended");
        let left: Vec<_> = std::fs::read_dir(&data_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["thesis.tex"]);
        assert!(folder.path().exists() && !is_platform(&data_dir));
        std::fs::remove_file(data_dir.join("thesis.tex")).unwrap();
        std::fs::write(data_dir.join(files::INSTALLATION), "{}").unwrap();
        Reset::prepare(&data_dir).unwrap().carry_out().unwrap();
        assert!(!data_dir.exists(), "an empty folder goes, too");
        assert_eq!(OWNED.last(), Some(&files::INSTALLATION));
    }

    #[test]
    fn programs_that_have_outlived_their_supervisor_are_ended() {
        let folder = tempfile::tempdir().unwrap();
        // The job's name must be like no other on this machine.
        let job = folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let task = folder.path().join("jobs").join(&job).join("worker-0");
        std::fs::create_dir_all(&task).unwrap();
        let sleep = |mark: &str| Command::new("sleep").arg("60").env(MARK, mark).process_group(0).spawn().unwrap();
        let (mut known, mut marked) = (sleep("no mark"), sleep(&format!("{job}/worker-0")));
        let mut other = sleep(&format!("{job}/worker-1"));
        let supervisor = ProcessId { pid: i32::MAX, start_time: 1 };
        let process = ProcessId::of(known.id().cast_signed());
        let status = TaskStatus { supervisor, process, stage: "training".to_owned(), finish: None };
        status.save(&task).unwrap();
        Reset::prepare(folder.path()).unwrap().carry_out().unwrap();
        assert!(!known.wait().unwrap().success() && !marked.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "of another task");
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
