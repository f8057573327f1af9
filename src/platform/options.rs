//! How a platform is started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::modelarts::{Clock, Timing};

/// Choices of `platform start`, and of tests that run a platform in their own process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is kept; made with mode 0700 when it does not exist.
    pub data_dir: PathBuf,
    /// Port of the control planes; 0 takes a free one. `None`: the one of the last start, or a free one at the first.
    pub port: Option<u16>,
    /// Port of the object store, likewise.
    pub obs_port: Option<u16>,
    /// How many slots running jobs share; `None`: the larger of 2 and the number of cores.
    pub slots: Option<u32>,
    /// Python interpreter by engine id or engine name; `default` for all others.
    pub interpreters: BTreeMap<String, PathBuf>,
    /// Program that is started to supervise a task: this one.
    pub executable: PathBuf,
    /// How often the training service looks at its jobs and keeps what they write.
    pub timing: Timing,
    /// What time it is for the training service.
    pub clock: Clock,
}

impl Options {
    /// For tests: free ports, so that any number of platforms can run side by side, and the supervisor `executable`.
    pub fn on_free_ports(data_dir: impl Into<PathBuf>, executable: impl Into<PathBuf>) -> Self {
        let (data_dir, executable) = (data_dir.into(), executable.into());
        Self {
            data_dir,
            port: Some(0),
            obs_port: Some(0),
            slots: None,
            interpreters: BTreeMap::new(),
            executable,
            timing: Timing::default(),
            clock: Clock::default(),
        }
    }

    /// The number of slots, decided; `configured` is what the data directory says.
    pub(crate) fn slots(&self, configured: Option<u32>) -> u32 {
        let cores = || std::thread::available_parallelism().map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(2));
        self.slots.or(configured).unwrap_or_else(|| cores().max(2)).max(1)
    }
}
