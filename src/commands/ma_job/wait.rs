//! `ma-job wait`.

use std::time::Duration;

use clap::builder::PossibleValuesParser;

use crate::api::modelarts::training_job::{Phase, TrainingJob};
use crate::commands::ma_job::failure;
use crate::commands::ma_job::hooks::{HookArgs, Hooks};
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::job_table::JobDetail;
use crate::commands::ma_job::moment;
use crate::commands::ma_job::watch::Watch;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// The phases that can be waited for.
const PHASES: [&str; 6] = ["Pending", "Running", "Completed", "Failed", "Terminated", "Abnormal"];

/// Wait for a training job
///
/// Until it has ended, or stands where --for says. Exit codes: 0 it did, 10 the job failed, 11 it was stopped, 6 the time was over.
/// Ctrl-C ends the waiting, not the job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job wait 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job wait 494b55e1-f2b8-4932-bbb1-c9768b0000aa --for Running --timeout 30m
  ma-cli ma-job wait 494b55e1-f2b8-4932-bbb1-c9768b0000aa --exec 'notify-send \"a job changed\"'")]
pub struct WaitArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// Wait for this phase; for Pending and Running a later one will do [default: the end]
    #[arg(long = "for", value_name = "STATE", value_parser = PossibleValuesParser::new(PHASES))]
    phase: Option<String>,
    /// Wait no longer than this: 90s, 15m, 2h, 1h30m
    #[arg(long, value_name = "DURATION", value_parser = moment::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    hooks: HookArgs,
}

/// Waits.
///
/// # Errors
/// There is no such job; it ended in another way than it was waited for; the time was over; the user interrupts.
pub async fn run(ctx: &Ctx, args: WaitArgs) -> Result<(), Error> {
    let hooks = Hooks::new(&args.hooks)?;
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    // Any case is taken for the documented one.
    let spelled = |word: &str| PHASES.iter().find(|phase| phase.eq_ignore_ascii_case(word)).map(|phase| Phase::read(phase));
    let wanted = args.phase.as_deref().and_then(spelled);
    let mut watch = Watch::new(ctx, &api, id);
    watch.tells_phases = true;
    watch.tells_reasons = true;
    watch.hooks = hooks;
    watch.until = wanted.clone();
    watch.timeout = args.timeout;
    watch.go_on_with = "wait";
    let job = watch.first().await?;
    let job = watch.run(job).await?;
    if ctx.ui.format() != Format::Table {
        let zone = ctx.ui.zone();
        ctx.ui.emit(&JobDetail { job: job.clone(), verbose: false, zone })?;
    }
    if is_met(&job, wanted.as_ref()) {
        return Ok(());
    }
    failure::conclude(ctx, &api, &job, false).await?;
    let wanted = wanted.map(|phase| phase.to_string()).unwrap_or_default();
    Err(Error::new(Kind::Conflict, format!("training job [{id}] ended as {}, not as {wanted}", job.phase())))
}

/// Whether the job stands where it was waited for.
fn is_met(job: &TrainingJob, wanted: Option<&Phase>) -> bool {
    let phase = job.phase();
    match wanted {
        None => phase == Phase::Completed,
        Some(Phase::Pending) => !phase.is_final() || phase == Phase::Completed,
        Some(Phase::Running) => matches!(phase, Phase::Running | Phase::Completed),
        Some(wanted) => phase == *wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Phase, TrainingJob, is_met};

    #[test]
    fn a_job_that_went_on_has_been_where_it_was_waited_for() {
        let job = |phase: &str| TrainingJob(json!({"status": {"phase": phase}}));
        for (phase, wanted, met) in [
            ("Completed", None, true),
            ("Failed", None, false),
            ("Completed", Some("Running"), true),
            ("Terminated", Some("Running"), false),
            ("Running", Some("Pending"), true),
            ("Failed", Some("Failed"), true),
            ("Completed", Some("Failed"), false),
        ] {
            assert_eq!(is_met(&job(phase), wanted.map(Phase::read).as_ref()), met, "{phase} {wanted:?}");
        }
    }
}
