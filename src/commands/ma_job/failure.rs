//! Why a job did not complete: state, reason, the failing task with the end of its log, the likely cause, where the logs lie.

use crate::api::Api;
use crate::api::modelarts::training_job::{Phase, TrainingJob};
use crate::api::modelarts::training_log;
use crate::commands::ma_job::failure_rules::{self, Finding};
use crate::commands::ma_job::log::FIRST_TASK;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Lines of the failing task's log that are shown.
const SHOWN_LINES: usize = 20;
/// Lines of it that are searched for the cause; programs print tracebacks and say good-bye after what went wrong.
const SEARCHED_LINES: usize = 500;
/// Events that are searched for the reason.
const SEARCHED_EVENTS: u32 = 20;

/// What an ended job means for the exit code: an error with everything that is known unless it completed. `has_log` says that the
/// log was printed already.
///
/// # Errors
/// [`Kind::JobFailed`], [`Kind::JobStopped`].
pub(super) async fn conclude(ctx: &Ctx, api: &Api, job: &TrainingJob, has_log: bool) -> Result<(), Error> {
    let phase = job.phase();
    let kind = match phase {
        Phase::Failed | Phase::Abnormal => Kind::JobFailed,
        Phase::Terminated => Kind::JobStopped,
        _ => return Ok(()),
    };
    let report = Report::examine(api, job).await;
    if !has_log && kind == Kind::JobFailed {
        report.tell_log(ctx);
    }
    let reason = report.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let mut error = Error::new(kind, format!("training job [{}] ended as {phase}{reason}", job.id()));
    error.hints = report.hints(ctx);
    Err(error)
}

/// Tells, for people, why one job that is looked at did not complete; nothing for other jobs.
pub(super) async fn explain(ctx: &Ctx, api: &Api, job: &TrainingJob) {
    if ctx.ui.format() != Format::Table || !matches!(job.phase(), Phase::Failed | Phase::Abnormal) {
        return;
    }
    let report = Report::examine(api, job).await;
    if let Some(reason) = &report.reason {
        ctx.ui.note(&format!("reason: {reason}"));
    }
    report.tell_log(ctx);
    for hint in report.hints(ctx) {
        ctx.ui.note(&format!("hint: {hint}"));
    }
}

/// What is known of a job that did not complete. What cannot be asked for is left out: a report must not fail.
#[derive(Debug)]
struct Report {
    id: String,
    reason: Option<String>,
    /// The failing task.
    task: String,
    /// The end of its log.
    lines: Vec<String>,
    finding: Option<Finding>,
    /// The folder that logs are stored in.
    place: Option<String>,
}

impl Report {
    async fn examine(api: &Api, job: &TrainingJob) -> Self {
        let id = job.id();
        let failed = job.failed_task();
        let task = failed.as_ref().map_or_else(|| FIRST_TASK.to_owned(), |failed| failed.task.clone());
        let is_failed = job.phase() != Phase::Terminated;
        let mut reason = job.failure().filter(|_| is_failed);
        if reason.is_none() {
            let events = training_log::newest_events(api, &id, SEARCHED_EVENTS).await.unwrap_or_default();
            let worst =
                events.iter().find(|event| event["level"].as_str().is_some_and(|level| level.eq_ignore_ascii_case("error")));
            let told = worst.filter(|_| is_failed).or(events.first());
            reason = told.and_then(|event| event["message"].as_str()).map(str::to_owned);
        }
        let mut lines = Vec::new();
        if is_failed && let Ok(preview) = training_log::preview(api, &id, &task).await {
            lines = last_lines(preview.content(), SEARCHED_LINES);
        }
        let finding = failure_rules::find(&lines, reason.as_deref(), failed.map(|failed| failed.exit_code));
        let place = Some(job.text("/spec/log_export_path/obs_url")).filter(|place| !place.is_empty());
        Self { id, reason, task, lines, finding: finding.filter(|_| is_failed), place }
    }

    fn tell_log(&self, ctx: &Ctx) {
        if self.lines.is_empty() || ctx.ui.format() != Format::Table {
            return;
        }
        let shown = &self.lines[self.lines.len().saturating_sub(SHOWN_LINES)..];
        let last = if shown.len() == 1 { "line".to_owned() } else { format!("{} lines", shown.len()) };
        ctx.ui.note(&format!("The last {last} of the log of [{}]:", self.task));
        for line in shown {
            // Text of a program, not a message: one line already, and tabs stay.
            ctx.ui.note_lines(&format!("    {line}"));
        }
    }

    fn hints(&self, ctx: &Ctx) -> Vec<String> {
        let (id, task, options) = (&self.id, &self.task, ctx.profile_options());
        let mut hints = Vec::new();
        if let Some(finding) = &self.finding {
            let rule = finding.rule;
            let seen = finding.line.as_ref().map(|line| format!(" [{line}]")).unwrap_or_default();
            hints.push(format!("likely cause: {}{seen}; {} ({})", rule.cause, rule.advice, rule.source));
        }
        if let Some(place) = &self.place {
            let folder = if place.starts_with('/') { format!("obs:/{place}") } else { place.clone() };
            let folder = folder.trim_end_matches('/');
            hints.push(format!("its logs are stored: {folder}/modelarts-job-{id}-{task}.log"));
        }
        hints.push(format!("see its log: ma-cli{options} ma-job get-log -i {id} -t {task}"));
        hints.push(format!("see its events: ma-cli{options} ma-job get-event -i {id}"));
        hints
    }
}

/// The last lines of a text, empty ones at its end left out.
fn last_lines(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.trim_end().lines().rev().take(most).map(str::to_owned).collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_end_of_a_log_is_its_last_lines() {
        assert_eq!(last_lines("a\nb\nc\n\n", 2), ["b", "c"]);
        assert!(last_lines("", 2).is_empty());
    }
}
