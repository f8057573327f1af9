//! What is known of the trials of a search, in a file of the task's folder.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::platform::runner::spec::{read_json, replace_json};
use crate::platform::search::space::Point;

/// Name of the file in the task's folder.
const REPORT_FILE: &str = "trials.json";
/// Folder of the trials in the task's folder.
const TRIALS: &str = "trials";
/// Name of the file in a trial's folder that asks for its end.
const STOP_FILE: &str = "stop";

/// All trials so far, in the order they were started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The trials.
    pub trials: Vec<TrialReport>,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialReport {
    /// Id within the job, such as `trial-1`.
    pub id: String,
    /// Process id.
    pub pid: u32,
    /// Names and values that were tried.
    pub values: Vec<(String, String)>,
    /// The same as coordinates.
    pub point: Point,
    /// Where it stands.
    pub status: TrialStatus,
    /// When it was started, in milliseconds since 1970.
    pub started: i64,
    /// How long it has run, in milliseconds; of one that runs, when the report was written.
    pub duration: i64,
    /// How often the optimised figure was printed.
    pub iterations: u64,
    /// The last value of each figure, in the order of the plan.
    pub figures: Vec<Option<f64>>,
    /// The best value of the optimised figure.
    pub best: Option<f64>,
}

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrialStatus {
    /// It runs.
    Running,
    /// It ended by itself, well.
    Completed,
    /// It was ended early; what it printed counts.
    Stopped,
    /// It ended by itself, badly; what it printed does not count.
    Failed,
}

impl Report {
    /// Reads the report of a task; an empty one when there is none yet.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(task_folder: &Path) -> io::Result<Self> {
        Ok(read_json(&task_folder.join(REPORT_FILE))?.unwrap_or_default())
    }

    /// Replaces the report of a task.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self, task_folder: &Path) -> io::Result<()> {
        replace_json(&task_folder.join(REPORT_FILE), self)
    }
}

/// The folder of a trial.
pub(super) fn trial_folder(task_folder: &Path, trial: &str) -> PathBuf {
    task_folder.join(TRIALS).join(trial)
}

/// Asks for the early end of a trial. The id must be one of the report's.
///
/// # Errors
/// The folder cannot be written.
pub fn ask_to_stop(task_folder: &Path, trial: &str) -> io::Result<()> {
    std::fs::write(trial_folder(task_folder, trial).join(STOP_FILE), b"")
}

/// Whether the early end of a trial was asked for.
pub(super) fn is_asked_to_stop(trial_folder: &Path) -> bool {
    trial_folder.join(STOP_FILE).exists()
}
