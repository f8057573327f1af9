//! `ma-job submit`.

use time::UtcOffset;

use crate::api::modelarts::training_job;
use crate::commands::ma_job::job_table::JobDetail;
use crate::commands::ma_job::request;
use crate::commands::ma_job::spec::Spec;
use crate::commands::ma_job::submit_options;
pub use crate::commands::ma_job::submit_options::SubmitArgs;
use crate::ctx::Ctx;
use crate::error::Error;
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
    let watching = args.watching.clone();
    let spec = spec.merge(submit_options::spec(args)?);
    let is_quiet = spec.quiet.unwrap_or_default();
    let hooks = watching.hooks(is_quiet)?;
    let mut request = request::build(spec);
    // Mistakes are told before anything is sent.
    request.document()?;
    let api = ctx.modelarts()?;
    // From here on Ctrl-C ends the waiting in good order: whoever submitted a job is told its id.
    ctx.cancel();
    request::find_engine(&api, &mut request).await;
    let mut job =
        training_job::create(&api, &request).await.map_err(|error| Error::from(error).context("submitting the job"))?;
    let id = job.id();
    ctx.ui.ok(&format!("Current training job id is: {id}"))?;
    if !is_quiet {
        job = watching.watch(ctx, &api, job, hooks).await?;
    }
    if ctx.ui.format() != Format::Table {
        let offset = ctx.env.local_offset.unwrap_or(UtcOffset::UTC);
        ctx.ui.emit(&JobDetail { job: job.clone(), verbose: false, offset })?;
    }
    watching.conclude(ctx, &api, &job).await?;
    ctx.ui.ok(&format!("Successfully submit training job [{id}]"))
}
