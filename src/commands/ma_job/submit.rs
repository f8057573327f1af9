//! `ma-job submit`.

use time::UtcOffset;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, Phase, TrainingJob};
use crate::commands::ma_job::job_table::JobDetail;
use crate::commands::ma_job::request;
use crate::commands::ma_job::spec::Spec;
use crate::commands::ma_job::submit_options;
pub use crate::commands::ma_job::submit_options::SubmitArgs;
use crate::commands::ma_job::watch::{Rhythm, interrupted};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Submits the job and, unless told to be quiet, prints its phases until it has ended.
///
/// # Errors
/// A job file or option is wrong, the service refuses, the job did not complete, the user interrupts.
pub async fn run(ctx: &Ctx, args: SubmitArgs) -> Result<(), Error> {
    let mut spec = Spec::default();
    for file in &args.yaml_file {
        spec = spec.merge(Spec::read(&ctx.env.directory.join(file))?);
    }
    let policies = args.autosearch.policies(&ctx.env.directory)?;
    let spec = spec.merge(submit_options::spec(args)?);
    let is_quiet = spec.quiet.unwrap_or_default();
    let mut request = request::build(spec);
    request.policies = policies;
    // Mistakes are told before anything is sent.
    request.document()?;
    let api = ctx.modelarts()?;
    // From here on Ctrl-C ends the waiting in good order: whoever submitted a job is told its id.
    let cancel = ctx.cancel();
    request::find_engine(&api, &mut request).await;
    let mut job =
        training_job::create(&api, &request).await.map_err(|error| Error::from(error).context("submitting the job"))?;
    let id = job.id();
    ctx.ui.ok(&format!("Current training job id is: {id}"))?;
    if !is_quiet {
        job = wait(ctx, &api, job, &cancel).await?;
    }
    if ctx.ui.format() != Format::Table {
        let offset = ctx.env.local_offset.unwrap_or(UtcOffset::UTC);
        ctx.ui.emit(&JobDetail { job: job.clone(), verbose: false, offset })?;
    }
    match job.phase() {
        Phase::Failed | Phase::Abnormal => Err(unsuccessful(&job, Kind::JobFailed)),
        Phase::Terminated => Err(unsuccessful(&job, Kind::JobStopped)),
        _ => ctx.ui.ok(&format!("Successfully submit training job [{id}]")),
    }
}

/// Prints one line a change of phase until the last one.
async fn wait(ctx: &Ctx, api: &Api, mut job: TrainingJob, cancel: &CancellationToken) -> Result<TrainingJob, Error> {
    let id = job.id();
    let mut rhythm = Rhythm::new();
    let mut shown = None;
    loop {
        let phase = job.phase();
        if shown.as_ref() != Some(&phase) {
            ctx.ui.ok(&phase.to_string())?;
            rhythm.quicken();
        }
        if phase.is_final() {
            return Ok(job);
        }
        shown = Some(phase);
        if !rhythm.pause(cancel).await {
            return Err(interrupted(&id));
        }
        if let Some(seen) = rhythm.look(api, &id).await? {
            job = seen;
        }
    }
}

fn unsuccessful(job: &TrainingJob, kind: Kind) -> Error {
    let id = job.id();
    let why = job.failure().map(|why| format!(": {why}")).unwrap_or_default();
    Error::new(kind, format!("training job [{id}] ended as {}{why}", job.phase()))
        .hint(format!("see its log: ma-cli ma-job get-log -i {id}"))
        .hint(format!("see its events: ma-cli ma-job get-event -i {id}"))
}
