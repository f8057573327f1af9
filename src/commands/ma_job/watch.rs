//! Stays with a job: tells its phases, prints its logs, calls the hooks, until what is waited for has come.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, Phase, TrainingJob};
use crate::api::modelarts::training_log;
use crate::commands::ma_job::hooks::{Change, Hooks};
use crate::commands::ma_job::log::Logs;
use crate::commands::ma_job::rhythm::Rhythm;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::text;

/// Events that are searched for the reason why a job has not started.
const SEARCHED_EVENTS: u32 = 10;

/// What messages about waiting have in them (user guide, training job events: queuing, awaiting, preparing, downloading, pulling,
/// preempted), in lower case.
const WAITING: [&str; 10] =
    ["queu", "await", "wait", "resource", "insufficient", "prepar", "download", "pull", "preempt", "schedul"];

/// How long the last lines of a log are waited for once a job has ended, and how often at most they are asked for.
const LAST_LINES: Duration = Duration::from_secs(2);
const LAST_LOOKS: u32 = 5;

/// How a job is stayed with.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) api: &'a Api,
    pub(super) id: &'a str,
    /// One line is printed for each phase.
    pub(super) tells_phases: bool,
    /// It is said why a job has not started yet.
    pub(super) tells_reasons: bool,
    /// The logs that are printed meanwhile.
    pub(super) logs: Option<Logs<'a>>,
    /// What is done on each change.
    pub(super) hooks: Hooks,
    /// The phase that is waited for; `None` for the end.
    pub(super) until: Option<Phase>,
    /// How long at most.
    pub(super) timeout: Option<Duration>,
    /// Ctrl-C stops the job too.
    pub(super) stops_on_interrupt: bool,
    /// What Ctrl-C leaves behind is found again with this, the id after it.
    pub(super) go_on_with: &'static str,
}

impl<'a> Watch<'a> {
    /// Only waits for the end.
    pub(super) fn new(ctx: &'a Ctx, api: &'a Api, id: &'a str) -> Self {
        Self {
            ctx,
            api,
            id,
            tells_phases: false,
            tells_reasons: false,
            logs: None,
            hooks: Hooks::default(),
            until: None,
            timeout: None,
            stops_on_interrupt: false,
            go_on_with: "get-log -f -i",
        }
    }

    /// Stays until what is waited for has come; the job as it stands then. `first` is the job as it was just seen.
    ///
    /// # Errors
    /// The user interrupts, it takes too long, the service refuses or is out of reach for too long.
    pub(super) async fn run(mut self, first: TrainingJob) -> Result<TrainingJob, Error> {
        let cancel = self.ctx.cancel();
        let (changes, mut changed) = mpsc::unbounded_channel::<Change>();
        let (hooks, ctx) = (std::mem::take(&mut self.hooks), self.ctx);
        // One after the other, beside what is watched: a slow command must not hold up the log.
        let calling = async {
            while let Some(change) = changed.recv().await {
                if !hooks.is_empty() {
                    hooks.call(ctx, &change).await;
                }
            }
        };
        let watching = async {
            let outcome = self.stay(first, &cancel, &changes).await;
            drop(changes);
            outcome
        };
        let calling = calling.fuse();
        tokio::pin!(calling, watching);
        let outcome = tokio::select! {
            outcome = &mut watching => outcome,
            () = &mut calling => watching.await,
        };
        match outcome {
            Err(error) if error.kind == Kind::Interrupted => Err(error),
            outcome => {
                // What is still being called is waited for, unless the user has enough of it.
                tokio::select! {
                    () = calling => {}
                    () = cancel.cancelled() => {}
                }
                outcome
            }
        }
    }

    async fn stay(
        &mut self,
        first: TrainingJob,
        cancel: &CancellationToken,
        changes: &mpsc::UnboundedSender<Change>,
    ) -> Result<TrainingJob, Error> {
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut rhythm = Rhythm::new();
        let (mut job, mut phase, mut told) = (first, None, String::new());
        let mut is_seen = true;
        loop {
            // The end is told when all that came before it was shown.
            if is_seen && !job.phase().is_final() && self.notice(&job, &mut phase, changes)? {
                rhythm.quicken();
            }
            let look = async { self.look_on(&job, &mut rhythm, &mut told).await };
            let is_read = tokio::select! {
                is_read = look => is_read?,
                () = cancel.cancelled() => return Err(self.interrupted().await),
            };
            if is_read && is_seen && self.is_reached(&job) {
                self.read_last_lines(&job, cancel).await?;
                self.end_logs()?;
                self.notice(&job, &mut phase, changes)?;
                return Ok(job);
            }
            let wait = rhythm.next_wait();
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(self.timed_out(&job));
            }
            tokio::select! {
                () = tokio::time::sleep(wait.min(left)) => {}
                () = cancel.cancelled() => return Err(self.interrupted().await),
            }
            let seen = tokio::select! {
                seen = rhythm.look(self.api, self.id) => seen?,
                () = cancel.cancelled() => return Err(self.interrupted().await),
            };
            is_seen = seen.is_some();
            job = seen.unwrap_or(job);
        }
    }

    /// Tells of the job's phase when it is another than before; `false` when it is not.
    fn notice(
        &self,
        job: &TrainingJob,
        known: &mut Option<Phase>,
        changes: &mpsc::UnboundedSender<Change>,
    ) -> Result<bool, Error> {
        if known.as_ref() == Some(&job.phase()) {
            return Ok(false);
        }
        let previous = known.replace(job.phase());
        if self.tells_phases {
            self.ctx.ui.ok(&job.phase().to_string())?;
        }
        // The receiver lives as long as this does.
        let _ = changes.send(Change::new(job, previous));
        Ok(true)
    }

    /// A service may know of a job's end before it has the last lines of its log: reads on until nothing new comes.
    async fn read_last_lines(&mut self, job: &TrainingJob, cancel: &CancellationToken) -> Result<(), Error> {
        // The embedded platform, as any service of this machine, has all of it by then.
        let is_near = ["//127.", "//localhost", "//[::1]"].iter().any(|host| self.api.endpoint().contains(host));
        let pause = if is_near { Duration::ZERO } else { LAST_LINES };
        for _ in 0..LAST_LOOKS {
            let Some(logs) = self.logs.as_mut().filter(|_| job.phase().is_final()) else { return Ok(()) };
            let read = tokio::select! {
                read = async { tokio::time::sleep(pause).await; logs.print_new(job).await } => read,
                () = cancel.cancelled() => return Err(self.interrupted().await),
            };
            match read {
                Ok(true) => {}
                Err(error) if matches!(error.kind, Kind::BrokenPipe | Kind::Local) => return Err(error),
                // What was there at the end has been read.
                Ok(false) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn end_logs(&mut self) -> Result<(), Error> {
        let Some(logs) = &mut self.logs else { return Ok(()) };
        logs.end()?;
        // What is told next begins on a line of its own.
        if self.tells_phases && logs.is_line_open() { self.ctx.ui.write(b"\n") } else { Ok(()) }
    }

    fn is_reached(&self, job: &TrainingJob) -> bool {
        let phase = job.phase();
        phase.is_final() || self.until.as_ref() == Some(&phase)
    }

    /// Prints what the logs have gained, and why a job has not started; `false` when it has to be tried again.
    async fn look_on(&mut self, job: &TrainingJob, rhythm: &mut Rhythm, told: &mut String) -> Result<bool, Error> {
        if let Some(logs) = &mut self.logs {
            match logs.print_new(job).await {
                Ok(true) => rhythm.quicken(),
                Ok(false) => {}
                Err(error) if matches!(error.kind, Kind::BrokenPipe | Kind::Local) => return Err(error),
                Err(error) => return rhythm.endure(error).map(|()| false),
            }
        }
        if self.tells_reasons && matches!(job.phase(), Phase::Creating | Phase::Pending) {
            // Without an answer nothing is lost.
            let events = training_log::newest_events(self.api, self.id, SEARCHED_EVENTS).await.unwrap_or_default();
            if let Some(reason) = reason(&events)
                && reason != told
            {
                reason.clone_into(told);
                self.ctx.ui.note(&format!("Waiting for training job [{}]: {reason}", self.id));
            }
        }
        Ok(true)
    }

    fn command(&self, verb: &str) -> String {
        format!("ma-cli{} ma-job {verb} {}", self.ctx.profile_options(), self.id)
    }

    fn timed_out(&self, job: &TrainingJob) -> Error {
        let (id, phase) = (self.id, job.phase());
        let waited = text::duration(self.timeout.unwrap_or_default());
        Error::new(Kind::Timeout, format!("waited {waited} for training job [{id}], which is {phase}"))
            .hint(format!("go on waiting: {}", self.command(self.go_on_with)))
    }

    /// What is said when the user stops waiting.
    async fn interrupted(&self) -> Error {
        let id = self.id;
        if self.stops_on_interrupt {
            return match training_job::terminate(self.api, id).await {
                Ok(_) => Error::new(Kind::Interrupted, format!("training job [{id}] is being stopped"))
                    .hint(format!("see what becomes of it: {}", self.command("get-job -i"))),
                Err(error) => Error { kind: Kind::Interrupted, ..Error::from(error) }
                    .context(&format!("training job [{id}] cannot be stopped"))
                    .hint(format!("stop it: {}", self.command("stop -i"))),
            };
        }
        Error::new(Kind::Interrupted, format!("no longer waiting; training job [{id}] goes on"))
            .hint(format!("go on with: {}", self.command(self.go_on_with)))
            .hint(format!("stop it: {}", self.command("stop -i")))
    }
}

/// The newest event that says why a job has not started; else the newest of all.
fn reason(events: &[Value]) -> Option<&str> {
    let message = |event: &Value| Some(event["message"].as_str()?.to_ascii_lowercase());
    let tells = |event: &&Value| message(event).is_some_and(|message| WAITING.iter().any(|word| message.contains(word)));
    events.iter().find(tells).or(events.first())?["message"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::reason;

    #[test]
    fn the_newest_event_about_waiting_is_the_reason() {
        let events = [
            json!({"message": "Engine x is run by y"}),
            json!({"message": "Training job is queuing"}),
            json!({"message": "Awaiting"}),
        ];
        assert_eq!(reason(&events), Some("Training job is queuing"));
        assert_eq!((reason(&events[..1]), reason(&[])), (Some("Engine x is run by y"), None));
    }
}
