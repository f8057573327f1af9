//! Options of `ma-job submit` that say how the job is stayed with.

use crate::api::Api;
use crate::api::modelarts::training_job::TrainingJob;
use crate::commands::ma_job::failure;
use crate::commands::ma_job::hooks::{HookArgs, Hooks};
use crate::commands::ma_job::log::{Logs, Tasks};
use crate::commands::ma_job::log_lines::Choice;
use crate::commands::ma_job::watch::Watch;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// How a submitted job is stayed with.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct WatchArgs {
    /// Print the logs of all tasks until the job has ended
    #[arg(long, conflicts_with = "quiet")]
    follow: bool,
    /// Stop the job on Ctrl-C instead of leaving it running
    #[arg(long, conflicts_with = "quiet")]
    stop_on_interrupt: bool,
    #[command(flatten)]
    hooks: HookArgs,
}

impl WatchArgs {
    /// What is to be done on changes of state; asked for before anything is sent.
    ///
    /// # Errors
    /// As [`Hooks::new`]; hooks without waiting.
    pub(super) fn hooks(&self, is_quiet: bool) -> Result<Hooks, Error> {
        let hooks = Hooks::new(&self.hooks)?;
        if is_quiet && !hooks.is_empty() {
            return Err(Error::new(Kind::Usage, "options --exec and --webhook need the command to wait: leave out -q/--quiet"));
        }
        Ok(hooks)
    }

    /// Prints one line a change of phase, and the logs if they are wanted, until the job has ended.
    ///
    /// # Errors
    /// As [`Watch::run`].
    pub(super) async fn watch(&self, ctx: &Ctx, api: &Api, job: TrainingJob, hooks: Hooks) -> Result<TrainingJob, Error> {
        let id = job.id();
        let mut watch = Watch::new(ctx, api, &id);
        if self.follow && matches!(ctx.ui.format(), Format::Table | Format::Jsonl) {
            watch.logs = Some(Logs::new(ctx, api, &id, Tasks::All, Choice::default()));
        }
        watch.tells_phases = true;
        watch.tells_reasons = self.follow;
        watch.hooks = hooks;
        watch.stops_on_interrupt = self.stop_on_interrupt;
        watch.run(job).await
    }

    /// What the job's end means for the exit code.
    ///
    /// # Errors
    /// As [`failure::conclude`].
    pub(super) async fn conclude(&self, ctx: &Ctx, api: &Api, job: &TrainingJob) -> Result<(), Error> {
        failure::conclude(ctx, api, job, self.follow).await
    }
}
