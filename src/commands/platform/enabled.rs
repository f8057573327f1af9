//! The commands in builds that have the platform.

mod failure;
mod logs;
mod reset;
mod start;
mod status;
mod stop;

use super::internal::{RunSearchArgs, RunShellArgs, RunTaskArgs};
use super::{LogsArgs, PlatformCommand, ResetArgs, StartArgs, StatusArgs, StopArgs};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Runs the command.
pub(super) async fn run(ctx: &Ctx, command: PlatformCommand) -> Result<(), Error> {
    match command {
        PlatformCommand::Start(args) => start::run(ctx, args).await,
        PlatformCommand::Stop(args) => stop::run(ctx, args).await,
        PlatformCommand::Status(args) => status::run(ctx, args),
        PlatformCommand::Logs(args) => logs::run(ctx, args).await,
        PlatformCommand::Reset(args) => reset::run(ctx, args),
        PlatformCommand::RunTask(args) => run_task(&args),
        PlatformCommand::RunSearch(args) => run_search(&args),
        PlatformCommand::RunShell(args) => run_shell(ctx, &args),
    }
}

/// Becomes the supervisor of a task; how the task ended is on record in its folder, not in the exit code.
fn run_task(args: &RunTaskArgs) -> Result<(), Error> {
    match crate::platform::runner::task::run(&args.spec) {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Local, format!("the task [{}] cannot be supervised", args.spec.display()))),
    }
}

/// Becomes the driver of a search; its exit code is the task's.
fn run_search(args: &RunSearchArgs) -> Result<(), Error> {
    match crate::platform::search::drive::run(&args.spec) {
        0 => Ok(()),
        _ => Err(Error::new(Kind::Local, "the search for hyperparameters has found nothing, or was ended")
            .hint("its log says which")),
    }
}

/// Becomes the program; where that is not possible, ends as a shell does.
fn run_shell(ctx: &Ctx, args: &RunShellArgs) -> Result<(), Error> {
    let error = crate::platform::terminal::shell::become_program(&args.words);
    ctx.set_exit_code(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
    ctx.ui.note(&format!("{}: {error}", args.words.first().map_or("the shell", String::as_str)));
    Ok(())
}
