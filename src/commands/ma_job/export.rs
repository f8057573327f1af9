//! `ma-job export`.

use crate::api::modelarts::training_tags;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::launch::Document;
use crate::commands::ma_job::named;
use crate::commands::ma_job::{from_job, written};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Print the job file that would create a training job once more
///
/// YAML on standard output. What a job file cannot say is told on standard error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job export 494b55e1-f2b8-4932-bbb1-c9768b0000aa > again.yaml
  ma-cli ma-job export 494b55e1-f2b8-4932-bbb1-c9768b0000aa -F json")]
pub struct ExportArgs {
    #[command(flatten)]
    job: JobIdArgs,
}

/// Prints the job file.
///
/// # Errors
/// There is no such job; the service refuses.
pub async fn run(ctx: &Ctx, args: ExportArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    let job = named::show(&api, id).await?;
    let tags = match training_tags::list(&api, id).await {
        Ok((tags, _)) => tags,
        Err(error) => {
            tracing::debug!("the tags of job [{id}] cannot be read: {error}");
            Vec::new()
        }
    };
    let spec = from_job::spec(&job, tags);
    for part in from_job::left_out(&job) {
        ctx.ui.warn(&format!("a job file cannot say {part}; that is left out"));
    }
    if spec.policies.is_some() {
        ctx.ui.warn("the search for hyperparameters stands in a file of its own (submit --autosearch); that is left out");
    }
    if spec.text("name").is_none() {
        return Err(Error::new(Kind::Service, format!("the service sent no description of training job [{id}]")));
    }
    ctx.ui.emit_as(&Document(written::file(&spec)), Format::Yaml)
}
