//! `ma-cli algorithm`: templates of training jobs.

pub mod create;
mod definition_args;
pub mod delete;
mod document;
mod from_job;
mod hyperparameter;
pub mod list;
mod named;
pub mod show;
pub mod update;

use crate::ctx::Ctx;
use crate::error::Error;

/// The verbs. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum AlgorithmCommand {
    Create(Box<create::CreateArgs>),
    List(list::ListArgs),
    Show(show::ShowArgs),
    Update(Box<update::UpdateArgs>),
    Delete(delete::DeleteArgs),
}

/// Runs the verb.
///
/// # Errors
/// Whatever the verb could not do.
pub async fn run(ctx: &Ctx, command: AlgorithmCommand) -> Result<(), Error> {
    match command {
        AlgorithmCommand::Create(args) => create::run(ctx, *args).await,
        AlgorithmCommand::List(args) => list::run(ctx, args).await,
        AlgorithmCommand::Show(args) => show::run(ctx, args).await,
        AlgorithmCommand::Update(args) => update::run(ctx, *args).await,
        AlgorithmCommand::Delete(args) => delete::run(ctx, args).await,
    }
}
