//! When a job is looked at again, through short outages of the service.

use std::time::{Duration, Instant};

use crate::api::Api;
use crate::api::modelarts::training_job::{self, TrainingJob};
use crate::error::{Error, Kind};

/// First wait between two looks at a job that has just begun: it may start within a tenth of a second on the local platform.
const FIRST: Duration = Duration::from_millis(40);
/// Wait between two looks while something happens.
const SHORT: Duration = Duration::from_millis(250);
/// Longest wait between two looks: jobs run for hours, and the service counts requests.
const LONGEST: Duration = Duration::from_secs(5);
/// How long the service may be out of reach before waiting is given up.
const OUTAGE: Duration = Duration::from_secs(120);

/// The rhythm of looks at a job: quick after a change, slower the longer nothing happens.
#[derive(Debug)]
pub(super) struct Rhythm {
    wait: Duration,
    last_answer: Instant,
}

impl Rhythm {
    /// Quick at first.
    pub(super) fn new() -> Self {
        Self { wait: FIRST, last_answer: Instant::now() }
    }

    /// Something happened: look again soon.
    pub(super) fn quicken(&mut self) {
        self.wait = self.wait.min(SHORT);
    }

    /// How long to wait for the next look.
    pub(super) fn next_wait(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = wait.mul_f64(1.5).min(LONGEST);
        wait
    }

    /// The job as it stands; `None` when the service is out of reach for the moment.
    ///
    /// # Errors
    /// The service refuses, or has been out of reach for too long.
    pub(super) async fn look(&mut self, api: &Api, id: &str) -> Result<Option<TrainingJob>, Error> {
        match training_job::show(api, id).await {
            Ok(job) => {
                self.last_answer = Instant::now();
                Ok(Some(job))
            }
            Err(error) => {
                let error = Error::from(error).context(&format!("training job [{id}]"));
                self.endure(error).map(|()| None)
            }
        }
    }

    /// Whether an error may be waited out.
    ///
    /// # Errors
    /// The error itself when it may not.
    pub(super) fn endure(&self, error: Error) -> Result<(), Error> {
        let may_pass = matches!(error.kind, Kind::Network | Kind::Service | Kind::Throttled);
        if may_pass && self.last_answer.elapsed() < OUTAGE {
            tracing::debug!("waiting on: {error}");
            return Ok(());
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Rhythm, SHORT};

    #[test]
    fn looks_become_rare_and_quick_again() {
        let mut rhythm = Rhythm::new();
        let waits: Vec<_> = (0..5).map(|_| rhythm.next_wait()).collect();
        assert!(waits[0] < SHORT && waits.is_sorted(), "{waits:?}");
        (0..20).for_each(|_| _ = rhythm.next_wait());
        assert_eq!(rhythm.next_wait(), LONGEST);
        rhythm.quicken();
        assert_eq!(rhythm.next_wait(), SHORT);
    }
}
