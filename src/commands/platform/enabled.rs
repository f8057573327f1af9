//! The commands in builds that have the platform.

mod failure;
mod logs;
mod reset;
mod start;
mod status;
mod stop;

use super::{PlaceArgs, PlatformCommand};
use super::{LogsArgs, ResetArgs, RunTaskArgs, StartArgs, StatusArgs, StopArgs};
use crate::ctx::Ctx;
use crate::error::Error;

/// Runs the command.
pub(super) async fn run(ctx: &Ctx, command: PlatformCommand) -> Result<(), Error> {
    match command {
        PlatformCommand::Start(args) => start::run(ctx, args).await,
        PlatformCommand::Stop(args) => stop::run(ctx, args).await,
        PlatformCommand::Status(args) => status::run(ctx, args),
        PlatformCommand::Logs(args) => logs::run(ctx, args).await,
        PlatformCommand::Reset(args) => reset::run(ctx, args),
        PlatformCommand::RunTask(args) => run_task(args),
    }
}

fn run_task(_args: RunTaskArgs) -> Result<(), Error> {
    unimplemented!()
}
