//! `ma-cli ma-job`: training jobs.

mod autosearch_args;
mod columns;
pub mod delete;
mod document;
pub mod get_engine;
pub mod get_event;
pub mod get_flavor;
pub mod get_job;
pub mod get_log;
pub mod get_pool;
mod job_id;
mod job_table;
mod lists;
mod log;
mod request;
pub mod shell;
mod spec;
pub mod stop;
pub mod submit;
mod submit_options;
pub mod trial_stop;
pub mod trials;
mod watch;

use crate::ctx::Ctx;
use crate::error::Error;

/// The verbs.
#[derive(Debug, clap::Subcommand)]
pub enum MaJobCommand {
    /// Submit a training job and wait for its end
    Submit(Box<submit::SubmitArgs>),
    /// List training jobs, or show one
    GetJob(get_job::GetJobArgs),
    /// Print the log of a task
    GetLog(get_log::GetLogArgs),
    /// List the events of a training job
    GetEvent(get_event::GetEventArgs),
    /// List the engines jobs can run on
    GetEngine(get_engine::GetEngineArgs),
    /// List the resource flavors jobs can run on
    GetFlavor(get_flavor::GetFlavorArgs),
    /// List the dedicated pools jobs can run on
    GetPool(get_pool::GetPoolArgs),
    /// Open a shell in a running task, or run a command there
    Shell(shell::ShellArgs),
    /// List the trials of a search for hyperparameters, and the best one
    Trials(trials::TrialsArgs),
    /// End a trial of a search for hyperparameters early
    TrialStop(trial_stop::TrialStopArgs),
    /// Stop a training job
    Stop(stop::StopArgs),
    /// Delete a training job
    Delete(delete::DeleteArgs),
}

/// Runs the verb.
///
/// # Errors
/// Whatever the verb could not do.
pub async fn run(ctx: &Ctx, command: MaJobCommand) -> Result<(), Error> {
    match command {
        MaJobCommand::Submit(args) => submit::run(ctx, *args).await,
        MaJobCommand::GetJob(args) => get_job::run(ctx, args).await,
        MaJobCommand::GetLog(args) => get_log::run(ctx, args).await,
        MaJobCommand::GetEvent(args) => get_event::run(ctx, args).await,
        MaJobCommand::GetEngine(args) => get_engine::run(ctx, args).await,
        MaJobCommand::GetFlavor(args) => get_flavor::run(ctx, args).await,
        MaJobCommand::GetPool(args) => get_pool::run(ctx, args).await,
        MaJobCommand::Shell(args) => shell::run(ctx, args).await,
        MaJobCommand::Trials(args) => trials::run(ctx, args).await,
        MaJobCommand::TrialStop(args) => trial_stop::run(ctx, args).await,
        MaJobCommand::Stop(args) => stop::run(ctx, args).await,
        MaJobCommand::Delete(args) => delete::run(ctx, args).await,
    }
}
