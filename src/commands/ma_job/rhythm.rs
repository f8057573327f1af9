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
/// After this time it is said that the log of a running job cannot be read.
const TOLD: Duration = Duration::from_secs(30);
/// How often the log of a job that has ended is asked for when the service refuses it or fails.
const AFTER_END: u32 = 5;

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
                let is_refusal = error.is_refusal();
                let error = Error::from(error).context(&format!("training job [{id}]"));
                if is_refusal { Err(error) } else { self.endure(error).map(|()| None) }
            }
        }
    }

    /// Whether an error of anything else than the log may be waited out.
    ///
    /// # Errors
    /// The error itself when it may not.
    pub(super) fn endure(&self, error: Error) -> Result<(), Error> {
        if may_pass(&error) && self.last_answer.elapsed() < OUTAGE {
            tracing::debug!("waiting on: {error}");
            return Ok(());
        }
        Err(error)
    }
}

/// Whether an error is of a kind that may pass.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(error.kind, Kind::Network | Kind::Service | Kind::Throttled)
}

/// Errors of the log of a job, beside which the job goes on: its log must not keep its end from being seen.
#[derive(Debug, Default)]
pub(super) struct LogTrouble {
    since: Option<Instant>,
    is_told: bool,
    after_end: u32,
}

/// What is done about an error of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Try again.
    Again,
    /// Try again, and say that the log is not there for now.
    Tell,
    /// Do without the rest of the log.
    GiveUp,
}

impl LogTrouble {
    /// The log could be read.
    pub(super) fn is_over(&mut self) {
        *self = Self::default();
    }

    /// The log could not be read, of a job that `has_ended` or goes on.
    pub(super) fn endure(&mut self, error: &Error, has_ended: bool) -> Remedy {
        tracing::debug!("waiting on: {error}");
        let lasting = self.since.get_or_insert_with(Instant::now).elapsed();
        if has_ended {
            self.after_end += 1;
            // A log that is refused stays so; a connection may come back.
            let is_enough = self.after_end >= AFTER_END && error.kind != Kind::Network || lasting >= OUTAGE;
            return if is_enough { Remedy::GiveUp } else { Remedy::Again };
        }
        if lasting < TOLD || std::mem::replace(&mut self.is_told, true) { Remedy::Again } else { Remedy::Tell }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{AFTER_END, LONGEST, LogTrouble, OUTAGE, Remedy, Rhythm, SHORT, TOLD};
    use crate::error::{Error, Kind};

    #[test]
    fn the_log_of_a_job_that_has_ended_is_not_waited_for_without_end() {
        let (refused, cut) = (Error::new(Kind::Service, "no log"), Error::new(Kind::Network, "cut"));
        let ago = |time| LogTrouble { since: Instant::now().checked_sub(time), ..LogTrouble::default() };
        let mut trouble = LogTrouble::default();
        assert!((0..100).all(|_| trouble.endure(&refused, false) == Remedy::Again));
        let ends: Vec<_> = (0..AFTER_END).map(|_| trouble.endure(&refused, true)).collect();
        assert_eq!((ends[0], ends.last()), (Remedy::Again, Some(&Remedy::GiveUp)));
        assert!((0..100).all(|_| LogTrouble::default().endure(&cut, true) == Remedy::Again));
        assert_eq!(ago(OUTAGE).endure(&cut, true), Remedy::GiveUp);
        let mut long = ago(TOLD);
        assert_eq!([long.endure(&cut, false), long.endure(&cut, false)], [Remedy::Tell, Remedy::Again]);
        long.is_over();
        assert_eq!(long.endure(&cut, true), Remedy::Again);
    }

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
