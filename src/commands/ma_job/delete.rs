//! `ma-job delete`.

use crate::api::modelarts::training_job;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Delete a training job
///
/// Asks before it does. What the job wrote to OBS stays there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job delete -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job delete -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -y")]
pub struct DeleteArgs {
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT", required = true)]
    job_id: String,
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
}

/// Deletes the job.
///
/// # Errors
/// There is no such job, it still runs, the user says no.
pub async fn run(ctx: &Ctx, args: DeleteArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = &args.job_id;
    let context = |error| Error::from(error).context(&format!("training job [{id}]"));
    let job = training_job::show(&api, id).await.map_err(context)?;
    let phase = job.phase();
    if !phase.is_final() {
        let error =
            Error::new(Kind::Conflict, format!("training job [{id}] is {phase}; only a job that has ended can be deleted"));
        return Err(error.hint(format!("stop it first: ma-cli ma-job stop -i {id}")));
    }
    if !args.yes {
        ctx.ui.warn(&format!("Training job [{}] with id [{id}] is {phase}", job.name()));
        ctx.ui.confirm("Delete it?", "-y/--yes")?;
    }
    training_job::delete(&api, id).await.map_err(context)?;
    ctx.ui.ok(&format!("Successfully delete training job [{id}]"))
}
