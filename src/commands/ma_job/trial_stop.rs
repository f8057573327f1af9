//! `ma-job trial-stop`.

use serde_json::json;

use crate::api::modelarts::autosearch;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// End a trial of a search for hyperparameters early
///
/// What it has printed until then counts; the search goes on with the next one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job trial-stop 494b55e1-f2b8-4932-bbb1-c9768b0000aa trial-3
  ma-cli ma-job trial-stop -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa trial-3")]
pub struct TrialStopArgs {
    /// Id of the job, and of the trial
    #[arg(value_name = "ID TRIAL", required = true, num_args = 1..=2)]
    ids: Vec<String>,
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT")]
    job_id: Option<String>,
}

/// Ends the trial.
///
/// # Errors
/// There is no such job or trial, the trial has ended, the service refuses.
pub async fn run(ctx: &Ctx, args: TrialStopArgs) -> Result<(), Error> {
    let (id, trial) = match (args.job_id.as_deref(), args.ids.as_slice()) {
        (Some(id), [trial]) => (id, trial.as_str()),
        (None, [id, trial]) => (id.as_str(), trial.as_str()),
        _ => return Err(Error::new(Kind::Usage, "the id of one job and of one trial are needed")),
    };
    let api = ctx.modelarts()?;
    let context = |error| Error::from(error).context(&format!("trial [{trial}] of training job [{id}]"));
    autosearch::stop(&api, id, trial).await.map_err(context)?;
    let message = format!("Successfully stop trial [{trial}] of training job [{id}]");
    ctx.ui.done(&message, json!({"id": id, "stopped": [trial]}))
}
