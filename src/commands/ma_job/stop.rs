//! `ma-job stop`.

use crate::api::modelarts::training_job::{self, Phase};
use crate::commands::ma_job::selection::{Action, SelectionArgs};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Stop training jobs
///
/// By id, or all that the options choose and that have not ended. Lists them and asks before it does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job stop -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job stop 494b55e1-f2b8-4932-bbb1-c9768b0000aa c1c3b8a2-7a57-4a5e-9c1b-1f2d3e0000bb -y
  ma-cli ma-job stop --state Pending --tag sweep=7")]
pub struct StopArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Stop without asking
    #[arg(short, long)]
    yes: bool,
}

/// Stops the jobs.
///
/// # Errors
/// There is no such job, it has ended already, the user says no; [`Kind::Partial`] when some could not be stopped.
pub async fn run(ctx: &Ctx, args: StopArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let refused = |job: &training_job::TrainingJob| {
        Error::new(Kind::Conflict, format!("training job [{}] is {} and cannot be stopped", job.id(), job.phase()))
    };
    // What is being stopped is not stopped again.
    let is_possible = |phase: &Phase| !phase.is_final() && *phase != Phase::Terminating;
    let action = Action { verb: "stop", is_possible, refused: &refused, yes: args.yes };
    let stop = async |id: String| training_job::terminate(&api, &id).await.map(drop).map_err(Error::from);
    args.selection.run(ctx, &api, &action, stop).await
}
