//! `ma-job update`.

use serde_json::json;

use crate::api::modelarts::training_job;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::Error;

/// Change the description of a training job
///
/// In any state of the job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job update 494b55e1-f2b8-4932-bbb1-c9768b0000aa --description \"the one that worked\"")]
pub struct UpdateArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// New description, up to 256 characters; empty to remove it
    #[arg(long, value_name = "TEXT")]
    description: String,
}

/// Changes the description.
///
/// # Errors
/// There is no such job; the description is too long.
pub async fn run(ctx: &Ctx, args: UpdateArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    named::found(&api, id, training_job::describe(&api, id, &args.description).await).await?;
    let document = json!({"id": id, "description": args.description});
    ctx.ui.done(&format!("Successfully update training job [{id}]"), document)
}
