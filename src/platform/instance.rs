//! One running server for each data directory: the lock that says so, and what the server says about itself.
//!
//! The lock decides, because the system drops it when the process ends, however it ends. The record only describes; one that
//! a killed server left behind is recognised by process id and start time and never trusted.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::files::{self, write_private};
use super::runner::process;

/// How long a starting server waits for the lock: those who only look hold it for microseconds.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);

/// What a running server says about itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Process id.
    pub pid: u32,
    /// When the process started, in the system's ticks since boot; `None` where the system does not tell.
    pub process_start: Option<u64>,
    /// URL of the control planes.
    pub endpoint: String,
    /// URL of the object store.
    pub obs_endpoint: String,
    /// Number of slots that running jobs share.
    pub slots: u32,
}

/// Whether a platform serves a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody does.
    Stopped,
    /// A process has the lock but is not ready yet, or is about to end.
    Busy,
    /// This one does.
    Running(Record),
}

/// Looks whether a platform serves the data directory.
///
/// # Errors
/// The lock file cannot be opened.
pub fn status(data_dir: &Path) -> Result<Status, Error> {
    let path = data_dir.join(files::LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Status::Stopped),
        Err(error) => return Err(Error::file("open", &path)(error)),
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Ok(Status::Stopped);
    }
    Ok(read(data_dir).filter(Record::is_alive).map_or(Status::Busy, Status::Running))
}

/// The record of the process `pid`, once it has written it.
pub fn announced(data_dir: &Path, pid: u32) -> Option<Record> {
    read(data_dir).filter(|record| record.pid == pid && record.is_alive())
}

fn read(data_dir: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(data_dir.join(files::RECORD)).ok()?).ok()
}

impl Record {
    /// Whether the process that wrote the record still runs, and is not another one with the same id.
    fn is_alive(&self) -> bool {
        let alive = self.process().is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
        alive && self.process_start == process_start(self.pid)
    }

    /// Asks the server to end: what runs is finished, nothing new is taken.
    ///
    /// # Errors
    /// The process belongs to another user. One that has ended already is none.
    pub fn terminate(&self) -> std::io::Result<()> {
        let Some(pid) = self.process().filter(|_| self.is_alive()) else { return Ok(()) };
        match kill_process(pid, Signal::TERM) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn process(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }
}

/// The lock of a data directory, held by the running server; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    data_dir: PathBuf,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// Another process has it.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join(files::LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let file = options.open(&path).map_err(Error::file("open", &path))?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if Instant::now() >= deadline || matches!(status(data_dir)?, Status::Running(_)) {
                return Err(Error::Running { data_dir: data_dir.to_owned() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let lock = Self { _file: file, data_dir: data_dir.to_owned() };
        lock.withdraw();
        Ok(lock)
    }

    /// Writes the record: from now on others see the server as running.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub(crate) fn announce(&self, endpoint: &str, obs_endpoint: &str, slots: u32) -> Result<(), Error> {
        let pid = std::process::id();
        let (endpoint, obs_endpoint) = (endpoint.to_owned(), obs_endpoint.to_owned());
        let record = Record { pid, process_start: process_start(pid), endpoint, obs_endpoint, slots };
        let text = serde_json::to_vec_pretty(&record).expect("a record of numbers and texts is JSON");
        write_private(&self.data_dir.join(files::RECORD), &text)
    }

    /// Removes the record; that there is none is no error.
    fn withdraw(&self) {
        let _ = std::fs::remove_file(self.data_dir.join(files::RECORD));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// When a process started; `None` where the system does not tell, and for one that has ended. The last threads of one that was killed
/// may hold its lock a moment longer than it counts as alive.
fn process_start(pid: u32) -> Option<u64> {
    let stat = process::stat(i32::try_from(pid).ok()?)?;
    (!stat.zombie).then_some(stat.id.start_time)
}

#[cfg(test)]
mod tests {
    use super::{Error, Lock, Record, Status, files, process_start, status};

    #[test]
    fn a_record_is_trusted_only_with_the_lock_and_the_right_process() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(status(folder.path()).unwrap(), Status::Stopped);
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(status(folder.path()).unwrap(), Status::Busy);
        lock.announce("http://127.0.0.1:1", "http://127.0.0.1:2", 4).unwrap();
        let Status::Running(record) = status(folder.path()).unwrap() else { panic!("not running") };
        assert_eq!((record.pid, record.slots), (std::process::id(), 4));
        assert!(matches!(Lock::take(folder.path()), Err(Error::Running { .. })));
        // A record of another process with this id: from before a restart of the machine, say.
        let stale = Record { process_start: record.process_start.map(|ticks| ticks + 1), ..record.clone() };
        std::fs::write(folder.path().join(files::RECORD), serde_json::to_vec(&stale).unwrap()).unwrap();
        assert_eq!(status(folder.path()).unwrap(), Status::Busy);
        drop(lock);
        // A record that a killed server left behind.
        std::fs::write(folder.path().join(files::RECORD), serde_json::to_vec(&record).unwrap()).unwrap();
        assert_eq!(status(folder.path()).unwrap(), Status::Stopped);
        let _lock = Lock::take(folder.path()).unwrap();
        assert!(!folder.path().join(files::RECORD).exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn start_times_are_known() {
        assert!(process_start(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(process_start(u32::MAX), None);
        // Killed, and not yet waited for.
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(process_start(child.id()).is_some());
        child.kill().unwrap();
        let begun = std::time::Instant::now();
        while process_start(child.id()).is_some() {
            assert!(begun.elapsed().as_secs() < 10);
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
