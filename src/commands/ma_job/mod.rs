//! `ma-cli ma-job`: training jobs.

mod again;
mod autosearch_args;
mod columns;
pub mod delete;
mod document;
pub mod evaluate;
mod evaluation;
mod evaluation_view;
mod expand;
pub mod export;
mod failure;
mod failure_rules;
mod findings;
mod folders;
mod from_job;
pub mod get_engine;
pub mod get_event;
pub mod get_flavor;
pub mod get_job;
pub mod get_log;
pub mod get_pool;
mod hooks;
mod ignore;
pub mod init;
mod inquiry;
mod job_file;
mod job_filter;
mod job_id;
mod job_table;
mod job_watch;
mod launch;
mod lists;
mod log;
mod log_lines;
mod log_reader;
mod log_table;
pub mod metrics;
mod metrics_view;
mod moment;
mod named;
mod request;
pub mod rerun;
mod rhythm;
mod selection;
pub mod set_priority;
pub mod shell;
mod spec;
pub mod stop;
pub mod submit;
mod submit_options;
pub mod tag;
pub mod trial_stop;
pub mod trials;
pub mod update;
mod upload;
mod uploaded;
pub mod validate;
mod values;
pub mod wait;
mod walk;
mod watch;
mod watch_options;
mod written;

use crate::ctx::Ctx;
use crate::error::Error;

/// The verbs. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum MaJobCommand {
    Submit(Box<submit::SubmitArgs>),
    Init(init::InitArgs),
    Validate(validate::ValidateArgs),
    Rerun(Box<rerun::RerunArgs>),
    Export(export::ExportArgs),
    GetJob(get_job::GetJobArgs),
    GetLog(get_log::GetLogArgs),
    Wait(wait::WaitArgs),
    Metrics(metrics::MetricsArgs),
    Evaluate(evaluate::EvaluateArgs),
    GetEvent(get_event::GetEventArgs),
    GetEngine(get_engine::GetEngineArgs),
    GetFlavor(get_flavor::GetFlavorArgs),
    GetPool(get_pool::GetPoolArgs),
    Update(update::UpdateArgs),
    Tag(tag::TagArgs),
    SetPriority(set_priority::SetPriorityArgs),
    Shell(shell::ShellArgs),
    Trials(trials::TrialsArgs),
    TrialStop(trial_stop::TrialStopArgs),
    Stop(stop::StopArgs),
    Delete(delete::DeleteArgs),
}

/// Runs the verb.
///
/// # Errors
/// Whatever the verb could not do.
pub async fn run(ctx: &Ctx, command: MaJobCommand) -> Result<(), Error> {
    match command {
        MaJobCommand::Submit(args) => submit::run(ctx, *args).await,
        MaJobCommand::Init(args) => init::run(ctx, args).await,
        MaJobCommand::Validate(args) => validate::run(ctx, args).await,
        MaJobCommand::Rerun(args) => rerun::run(ctx, *args).await,
        MaJobCommand::Export(args) => export::run(ctx, args).await,
        MaJobCommand::GetJob(args) => get_job::run(ctx, args).await,
        MaJobCommand::GetLog(args) => get_log::run(ctx, args).await,
        MaJobCommand::Wait(args) => wait::run(ctx, args).await,
        MaJobCommand::Metrics(args) => metrics::run(ctx, args).await,
        MaJobCommand::Evaluate(args) => evaluate::run(ctx, args).await,
        MaJobCommand::GetEvent(args) => get_event::run(ctx, args).await,
        MaJobCommand::GetEngine(args) => get_engine::run(ctx, args).await,
        MaJobCommand::GetFlavor(args) => get_flavor::run(ctx, args).await,
        MaJobCommand::GetPool(args) => get_pool::run(ctx, args).await,
        MaJobCommand::Update(args) => update::run(ctx, args).await,
        MaJobCommand::Tag(args) => tag::run(ctx, args).await,
        MaJobCommand::SetPriority(args) => set_priority::run(ctx, args).await,
        MaJobCommand::Shell(args) => shell::run(ctx, args).await,
        MaJobCommand::Trials(args) => trials::run(ctx, args).await,
        MaJobCommand::TrialStop(args) => trial_stop::run(ctx, args).await,
        MaJobCommand::Stop(args) => stop::run(ctx, args).await,
        MaJobCommand::Delete(args) => delete::run(ctx, args).await,
    }
}
