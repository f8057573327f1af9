//! `ma-job delete`.

use crate::api::modelarts::training_job;
use crate::commands::ma_job::selection::{Action, SelectionArgs};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Delete training jobs
///
/// By id, or all that the options choose and that have ended. Lists them and asks before it does. What a job wrote to OBS stays
/// there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job delete -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job delete 494b55e1-f2b8-4932-bbb1-c9768b0000aa c1c3b8a2-7a57-4a5e-9c1b-1f2d3e0000bb -y
  ma-cli ma-job delete --state Failed --until 30d")]
pub struct DeleteArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
}

/// Deletes the jobs.
///
/// # Errors
/// There is no such job, it still runs, the user says no; [`Kind::Partial`] when some could not be deleted.
pub async fn run(ctx: &Ctx, args: DeleteArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let refused = |job: &training_job::TrainingJob| {
        let (id, phase) = (job.id(), job.phase());
        Error::new(Kind::Conflict, format!("training job [{id}] is {phase}; only a job that has ended can be deleted"))
            .hint(format!("stop it first: ma-cli ma-job stop -i {id}"))
    };
    let is_possible = training_job::Phase::is_final;
    let action = Action { verb: "delete", is_possible, refused: &refused, yes: args.yes };
    let delete = async |id: String| training_job::delete(&api, &id).await.map_err(Error::from);
    args.selection.run(ctx, &api, &action, delete).await
}
