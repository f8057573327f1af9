//! Verbs that do something to several jobs: `stop` and `delete`.

use clap::builder::NonEmptyStringValueParser;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::api::Api;
use crate::api::modelarts::training_job::{self, Phase, TrainingJob};
use crate::api::modelarts::training_search;
use crate::commands::ma_job::job_filter::JobFilter;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Jobs that are handled at once.
const AT_ONCE: usize = 8;
/// Jobs that are named before the question.
const MOST_NAMED: usize = 20;

/// The jobs that a verb is about: by id, or all that some options choose.
#[derive(Debug, clap::Args)]
pub(super) struct SelectionArgs {
    /// Ids of jobs
    #[arg(value_name = "ID", conflicts_with = "job_id",
          required_unless_present_any = ["job_id", "job_name", "state", "user", "since", "until", "pool", "tag"])]
    ids: Vec<String>,
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT")]
    job_id: Option<String>,
    /// All jobs whose name contains this
    #[arg(short = 'n', long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    job_name: Option<String>,
    #[command(flatten)]
    filter: JobFilter,
}

/// What is done to each job.
pub(super) struct Action<'a> {
    /// The word for it, such as `stop`.
    pub(super) verb: &'static str,
    /// Whether it can be done in that phase.
    pub(super) is_possible: fn(&Phase) -> bool,
    /// What to say of a job to which it cannot be done.
    pub(super) refused: &'a dyn Fn(&TrainingJob) -> Error,
    /// Whether the user is not asked.
    pub(super) yes: bool,
}

impl Action<'_> {
    /// The jobs it was done to, for programs.
    fn document(&self, ids: &[String]) -> Value {
        json!({(if self.verb == "stop" { "stopped" } else { "deleted" }): ids})
    }
}

impl SelectionArgs {
    /// Does it to the jobs, after a question that lists them. One failure does not keep the others from being done.
    ///
    /// # Errors
    /// The one job is not there or in the wrong state; [`Kind::Partial`] when some of several failed; the user says no.
    pub(super) async fn run<F>(&self, ctx: &Ctx, api: &Api, action: &Action<'_>, act: impl Fn(String) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        let (jobs, mut failures) = self.jobs(api, action).await?;
        let count = jobs.len() + failures.len();
        if jobs.is_empty() {
            return match failures.len() {
                0 => ctx.ui.done(&format!("There is no training job to {}", action.verb), action.document(&[])),
                _ => outcome(ctx, action, failures, count),
            };
        }
        if !action.yes {
            ask(ctx, action, &jobs).await?;
        }
        let act = &act;
        let each = stream::iter(jobs).map(|job| async move { (job.id(), act(job.id()).await) });
        let mut done = Box::pin(each.buffered(AT_ONCE));
        let mut ids = Vec::new();
        while let Some((id, result)) = done.next().await {
            match result {
                Ok(()) => {
                    ctx.ui.ok(&format!("Successfully {} training job [{id}]", action.verb))?;
                    ids.push(id);
                }
                // Nobody named it, and it has gone on by itself meanwhile.
                Err(_) if !self.is_by_id() && !is_still_possible(api, action, &id).await => {}
                Err(error) => failures.push(error.context(&format!("training job [{id}]"))),
            }
        }
        if failures.is_empty() || !ids.is_empty() {
            ctx.ui.done_all(action.document(&ids))?;
        }
        outcome(ctx, action, failures, count)
    }

    fn is_by_id(&self) -> bool {
        !self.ids.is_empty() || self.job_id.is_some()
    }

    /// The jobs to which it can be done; and of those named by id, what stands against it.
    async fn jobs(&self, api: &Api, action: &Action<'_>) -> Result<(Vec<TrainingJob>, Vec<Error>), Error> {
        let mut ids: Vec<&String> = self.ids.iter().chain(&self.job_id).collect();
        if ids.is_empty() {
            let request = self.filter.request(self.job_name.as_ref())?;
            let mut jobs = training_search::search_all(api, &request).await?;
            // A service that does not know a filter leaves it out, and gives jobs that nobody chose.
            jobs.retain(|job| request.fits(job) && (action.is_possible)(&job.phase()));
            return Ok((jobs, Vec::new()));
        }
        if self.job_name.is_some() || !self.filter.is_empty() {
            return Err(Error::new(Kind::Usage, "jobs are chosen by their ids or by options such as --state, not by both"));
        }
        let mut known = std::collections::HashSet::new();
        ids.retain(|id| known.insert(id.as_str()));
        let shown = stream::iter(ids).map(|id| named::show(api, id));
        let (mut jobs, mut failures) = (Vec::new(), Vec::new());
        let mut shown = Box::pin(shown.buffered(AT_ONCE));
        while let Some(shown) = shown.next().await {
            match shown {
                Ok(job) if (action.is_possible)(&job.phase()) => jobs.push(job),
                Ok(job) => failures.push((action.refused)(&job)),
                Err(error) => failures.push(error),
            }
        }
        Ok((jobs, failures))
    }
}

/// Whether it could be done to the job as it stands now; a job that is gone needs nothing done.
async fn is_still_possible(api: &Api, action: &Action<'_>, id: &str) -> bool {
    match training_job::show(api, id).await {
        Ok(job) => (action.is_possible)(&job.phase()),
        Err(error) => Error::from(error).kind != Kind::NotFound,
    }
}

async fn ask(ctx: &Ctx, action: &Action<'_>, jobs: &[TrainingJob]) -> Result<(), Error> {
    for job in jobs.iter().take(MOST_NAMED) {
        ctx.ui.warn(&format!("Training job [{}] with id [{}] is {}", job.name(), job.id(), job.phase()));
    }
    if jobs.len() > MOST_NAMED {
        ctx.ui.warn(&format!("and {} more", jobs.len() - MOST_NAMED));
    }
    let verb = format!("{}{}", action.verb[..1].to_uppercase(), &action.verb[1..]);
    let question = if jobs.len() == 1 { format!("{verb} it?") } else { format!("{verb} these {} jobs?", jobs.len()) };
    ctx.confirm(&question, "-y/--yes").await
}

/// The one failure of one job; of several jobs, how many failed, after each was told.
fn outcome(ctx: &Ctx, action: &Action<'_>, mut failures: Vec<Error>, count: usize) -> Result<(), Error> {
    if count == 1 {
        return failures.pop().map_or(Ok(()), Err);
    }
    for failure in &failures {
        ctx.ui.warn(&failure.to_string());
    }
    let failed = failures.len();
    let message = format!("could not {} {failed} of {count} training jobs", action.verb);
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) if failed == count => Err(Error::new(first.kind, message)),
        Some(_) => Err(Error::new(Kind::Partial, message)),
    }
}
