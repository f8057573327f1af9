//! Waits for what a job does next, through short outages of the service.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, TrainingJob};
use crate::error::{Error, Kind};

/// First wait between two looks: short jobs on the local platform end within a second.
const SHORTEST: Duration = Duration::from_millis(250);
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
        Self { wait: SHORTEST, last_answer: Instant::now() }
    }

    /// Something happened: look again soon.
    pub(super) fn quicken(&mut self) {
        self.wait = SHORTEST;
    }

    /// Waits for the time of the next look; `false` when the user interrupted.
    pub(super) async fn pause(&mut self, cancel: &CancellationToken) -> bool {
        let wait = self.wait;
        self.wait = wait.mul_f64(1.5).min(LONGEST);
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = cancel.cancelled() => false,
        }
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
    fn endure(&self, error: Error) -> Result<(), Error> {
        let may_pass = matches!(error.kind, Kind::Network | Kind::Service | Kind::Throttled);
        if may_pass && self.last_answer.elapsed() < OUTAGE {
            tracing::debug!("waiting on: {error}");
            return Ok(());
        }
        Err(error)
    }
}

/// What is said when the user stops waiting.
pub(super) fn interrupted(id: &str) -> Error {
    Error::new(Kind::Interrupted, format!("no longer waiting; training job [{id}] goes on"))
        .hint(format!("follow its log: ma-cli ma-job get-log -i {id} -f"))
        .hint(format!("stop it: ma-cli ma-job stop -i {id}"))
}
