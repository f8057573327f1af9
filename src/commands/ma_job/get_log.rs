//! `ma-job get-log`.

use crate::api::modelarts::training_job;
use crate::commands::ma_job::log::Log;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::Format;

/// Print the log of a task
///
/// What the job's processes wrote to standard output and standard error, with the lines of the platform itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -t worker-1
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -f")]
pub struct GetLogArgs {
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT", required = true)]
    job_id: String,
    /// Task, worker-0 for the first node
    #[arg(short = 't', long, value_name = "TEXT", default_value = "worker-0")]
    task_id: String,
    /// Go on printing until the job has ended
    #[arg(short, long)]
    follow: bool,
}

/// Prints the log.
///
/// # Errors
/// There is no such job or task; the service refuses; the user interrupts.
pub async fn run(ctx: &Ctx, args: GetLogArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let is_text = ctx.ui.format() == Format::Table;
    let mut log = Log { ctx, api: &api, id: &args.job_id, task: &args.task_id, printed: 0, is_text };
    if args.follow {
        log.follow().await?;
    } else if is_text {
        log.print_new().await?;
    }
    if is_text {
        return Ok(());
    }
    let preview = training_job::log_preview(&api, log.id, log.task).await.map_err(|error| log.context(error))?;
    ctx.ui.emit(&preview)
}
