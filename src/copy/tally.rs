//! Counting outcomes while a run goes on.

use crate::copy::error::Error;
use crate::copy::summary::Summary;

/// The summary so far, and what it says of the rest.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) summary: Summary,
    // Files in a row that failed as all others probably will.
    pub(super) hopeless: u64,
}

impl Tally {
    /// Whether not a single file or folder was copied, or need not be.
    pub(super) fn nothing_worked(&self) -> bool {
        self.summary.files + self.summary.folders + self.summary.skipped == 0
    }

    /// What stopped every single file stopped the run.
    pub(super) fn into_result(mut self) -> Result<Summary, Error> {
        let all = self.nothing_worked() && self.hopeless == self.summary.failed;
        match self.summary.failures.pop() {
            Some(failure) if all => Err(failure.error),
            Some(failure) => {
                self.summary.failures.push(failure);
                Ok(self.summary)
            }
            None => Ok(self.summary),
        }
    }
}
