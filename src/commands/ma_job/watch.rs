//! Stays with a job: tells its phases, prints its logs, calls the hooks, until what is waited for has come.

use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, Phase, TrainingJob};
use crate::api::modelarts::training_log;
use crate::commands::ma_job::hooks::{Change, Hooks};
use crate::commands::ma_job::log::Logs;
use crate::commands::ma_job::named;
use crate::commands::ma_job::rhythm::{LogTrouble, Remedy, Rhythm, may_pass};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::text;

/// Events that are searched for the reason why a job has not started.
const SEARCHED_EVENTS: u32 = 10;

/// How long the look that is taken when the time is over may take.
const LAST_LOOK: Duration = Duration::from_millis(500);

/// How long hooks that still run are waited for when the time is over.
const LAST_CALLS: Duration = Duration::from_secs(3);

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
    /// How long at most, from [`Self::new`] on.
    pub(super) timeout: Option<Duration>,
    /// Ctrl-C stops the job too.
    pub(super) stops_on_interrupt: bool,
    /// What Ctrl-C leaves behind is found again with this, the id after it.
    pub(super) go_on_with: &'static str,
    begun: Instant,
    log_trouble: LogTrouble,
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
            begun: Instant::now(),
            log_trouble: LogTrouble::default(),
        }
    }

    /// The job as it stands before it is stayed with.
    ///
    /// # Errors
    /// There is no such job; the service refuses or is out of reach; the user interrupts, it takes too long.
    pub(super) async fn first(&self) -> Result<TrainingJob, Error> {
        let cancel = self.ctx.cancel();
        tokio::select! {
            biased;
            job = named::show(self.api, self.id) => job,
            () = until(self.end()) => Err(self.timed_out(None)),
            () = cancel.cancelled() => Err(self.interrupted().await),
        }
    }

    /// When the time is over.
    fn end(&self) -> Option<Instant> {
        self.timeout.and_then(|timeout| self.begun.checked_add(timeout))
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
                // What is still being called is waited for, unless the user has enough of it or the time is over.
                let is_late = matches!(&outcome, Err(error) if error.kind == Kind::Timeout);
                let late = async { if is_late { tokio::time::sleep(LAST_CALLS).await } else { std::future::pending().await } };
                tokio::select! {
                    () = calling => {}
                    () = cancel.cancelled() => {}
                    () = late => ctx.ui.warn("what --exec or --webhook started was not waited for: the time is over"),
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
        let end = self.end();
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
                biased;
                is_read = look => is_read?,
                () = cancel.cancelled() => return Err(self.interrupted().await),
                () = until(end) => return Err(self.timed_out(Some(&job))),
            };
            if is_read && is_seen && is_reached(&job.phase(), self.until.as_ref()) {
                self.read_last_lines(&job, cancel).await?;
                self.end_logs()?;
                self.notice(&job, &mut phase, changes)?;
                return Ok(job);
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                return Err(self.timed_out(Some(&job)));
            }
            let next = Instant::now() + rhythm.next_wait();
            let is_last = end.is_some_and(|end| end <= next);
            tokio::select! {
                () = tokio::time::sleep_until(end.filter(|_| is_last).unwrap_or(next)) => {}
                () = cancel.cancelled() => return Err(self.interrupted().await),
            }
            // The last look is taken when the time is over, but not waited for.
            let over = if is_last { Some(Instant::now() + LAST_LOOK) } else { end };
            let seen = tokio::select! {
                seen = rhythm.look(self.api, self.id) => seen?,
                () = cancel.cancelled() => return Err(self.interrupted().await),
                () = until(over) => return Err(self.timed_out(Some(&job))),
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

    /// Prints what the logs have gained, and why a job has not started; `false` when it has to be tried again.
    async fn look_on(&mut self, job: &TrainingJob, rhythm: &mut Rhythm, told: &mut String) -> Result<bool, Error> {
        if let Some(logs) = &mut self.logs {
            match logs.print_new(job).await {
                Ok(is_new) => {
                    self.log_trouble.is_over();
                    if is_new {
                        rhythm.quicken();
                    }
                }
                Err(error) if may_pass(&error) => return Ok(self.do_without_log(&error, job, rhythm)),
                Err(error) => return Err(error),
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

    /// The log cannot be read; whether there is nothing more to try.
    fn do_without_log(&mut self, error: &Error, job: &TrainingJob, rhythm: &mut Rhythm) -> bool {
        let has_ended = job.phase().is_final();
        if has_ended {
            rhythm.quicken();
        }
        match self.log_trouble.endure(error, has_ended) {
            Remedy::Again => false,
            Remedy::Tell => {
                self.ctx.ui.warn(&format!("the log cannot be read for now, it is tried again: {error}"));
                false
            }
            Remedy::GiveUp => {
                self.ctx.ui.warn(&format!("the log, or its end, cannot be read: {error}"));
                true
            }
        }
    }

    fn command(&self, verb: &str) -> String {
        format!("ma-cli{} ma-job {verb} {}", self.ctx.profile_options(), self.id)
    }

    /// `job` as it was seen last.
    fn timed_out(&self, job: Option<&TrainingJob>) -> Error {
        let waited = text::duration(self.timeout.unwrap_or_default());
        let seen = job.map_or("of which the service has not told yet".to_owned(), |job| format!("which is {}", job.phase()));
        Error::new(Kind::Timeout, format!("waited {waited} for training job [{}], {seen}", self.id))
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

/// Whether a job in that phase is where it is waited for; every job is at its end.
fn is_reached(phase: &Phase, wanted: Option<&Phase>) -> bool {
    match wanted {
        _ if phase.is_final() => true,
        // What has left the beginning has been there, whether it was seen or not.
        Some(Phase::Pending) => *phase != Phase::Creating,
        Some(wanted) => phase == wanted,
        None => false,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
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

    use super::{Phase, is_reached, reason};

    #[test]
    fn a_phase_that_went_by_between_two_looks_was_reached() {
        let reached = |phase, wanted: Option<&str>| is_reached(&Phase::read(phase), wanted.map(Phase::read).as_ref());
        assert!(reached("Running", Some("Pending")) && reached("Pending", Some("Pending")));
        assert!(!reached("Creating", Some("Pending")) && !reached("Pending", Some("Running")) && !reached("Running", None));
        assert!(reached("Failed", Some("Running")) && reached("Completed", None));
    }

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
