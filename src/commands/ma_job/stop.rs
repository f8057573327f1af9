//! `ma-job stop`.

use crate::api::modelarts::training_job;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Stop a training job
///
/// Asks before it does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job stop -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job stop -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -y")]
pub struct StopArgs {
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT", required = true)]
    job_id: String,
    /// Stop without asking
    #[arg(short, long)]
    yes: bool,
}

/// Stops the job.
///
/// # Errors
/// There is no such job, it has ended already, the user says no.
pub async fn run(ctx: &Ctx, args: StopArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = &args.job_id;
    let context = |error| Error::from(error).context(&format!("training job [{id}]"));
    let job = training_job::show(&api, id).await.map_err(context)?;
    let phase = job.phase();
    if phase.is_final() {
        return Err(Error::new(Kind::Conflict, format!("training job [{id}] is {phase} and cannot be stopped")));
    }
    if !args.yes {
        ctx.ui.warn(&format!("Training job [{}] with id [{id}] is {phase}", job.name()));
        ctx.ui.confirm("Stop it?", "-y/--yes")?;
    }
    training_job::terminate(&api, id).await.map_err(context)?;
    ctx.ui.ok(&format!("Successfully stop training job [{id}]"))
}
