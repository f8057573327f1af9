//! `ma-cli ma-job`: training jobs.

mod columns;
pub mod delete;
mod document;
pub mod evaluate;
mod evaluation;
mod evaluation_view;
mod failure;
mod failure_rules;
pub mod get_engine;
pub mod get_event;
pub mod get_flavor;
pub mod get_job;
pub mod get_log;
pub mod get_pool;
mod hooks;
mod job_id;
mod job_table;
mod lists;
mod log;
mod log_lines;
mod log_reader;
mod log_table;
pub mod metrics;
mod metrics_view;
mod moment;
mod request;
mod rhythm;
mod spec;
pub mod stop;
pub mod submit;
mod submit_options;
pub mod wait;
mod watch;
mod watch_options;

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
    /// Wait for a training job
    Wait(wait::WaitArgs),
    /// Show how much of its node a task uses
    Metrics(metrics::MetricsArgs),
    /// Show the evaluation of the model that a job has trained
    Evaluate(evaluate::EvaluateArgs),
    /// List the events of a training job
    GetEvent(get_event::GetEventArgs),
    /// List the engines jobs can run on
    GetEngine(get_engine::GetEngineArgs),
    /// List the resource flavors jobs can run on
    GetFlavor(get_flavor::GetFlavorArgs),
    /// List the dedicated pools jobs can run on
    GetPool(get_pool::GetPoolArgs),
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
        MaJobCommand::Wait(args) => wait::run(ctx, args).await,
        MaJobCommand::Metrics(args) => metrics::run(ctx, args).await,
        MaJobCommand::Evaluate(args) => evaluate::run(ctx, args).await,
        MaJobCommand::GetEvent(args) => get_event::run(ctx, args).await,
        MaJobCommand::GetEngine(args) => get_engine::run(ctx, args).await,
        MaJobCommand::GetFlavor(args) => get_flavor::run(ctx, args).await,
        MaJobCommand::GetPool(args) => get_pool::run(ctx, args).await,
        MaJobCommand::Stop(args) => stop::run(ctx, args).await,
        MaJobCommand::Delete(args) => delete::run(ctx, args).await,
    }
}
