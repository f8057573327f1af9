//! `ma-job set-priority`.

use clap::value_parser;
use serde_json::json;

use crate::api::modelarts::training_job;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::Error;

/// Change the priority of a training job that waits
///
/// Jobs of a higher priority start first. 3 needs a permission of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job set-priority 494b55e1-f2b8-4932-bbb1-c9768b0000aa --priority 2")]
pub struct SetPriorityArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// Priority from 1 to 3
    #[arg(short, long, value_name = "N", value_parser = value_parser!(u32).range(1..=3))]
    priority: u32,
}

/// Changes the priority.
///
/// # Errors
/// There is no such job, or it waits no longer.
pub async fn run(ctx: &Ctx, args: SetPriorityArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    named::found(&api, id, training_job::prioritise(&api, id, args.priority).await).await?;
    let message = format!("Successfully set the priority of training job [{id}] to {}", args.priority);
    ctx.ui.done(&message, json!({"id": id, "priority": args.priority}))
}
