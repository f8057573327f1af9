//! `ma-cli platform`: the embedded platform's life cycle.
//!
//! The options are the same in every build; what they do is in `enabled` or, without the feature `platform`, in `disabled`.

#[cfg_attr(feature = "platform", path = "enabled.rs")]
#[cfg_attr(not(feature = "platform"), path = "disabled.rs")]
mod backend;
mod internal;

use std::path::PathBuf;

use internal::{RunSearchArgs, RunShellArgs, RunTaskArgs};

use crate::ctx::Ctx;
use crate::error::Error;

/// Commands of the embedded platform. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum PlatformCommand {
    Start(StartArgs),
    Stop(StopArgs),
    Status(StatusArgs),
    Logs(LogsArgs),
    Reset(ResetArgs),
    /// Supervise one task of a job; started by the platform itself
    #[command(hide = true)]
    RunTask(RunTaskArgs),
    /// Run the trials of a search for hyperparameters; started by the supervisor of a task
    #[command(hide = true)]
    RunSearch(RunSearchArgs),
    /// Become a program with a terminal of its own; started by the platform itself
    #[command(hide = true)]
    RunShell(RunShellArgs),
}

/// Where the platform keeps everything.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// Data directory [default: MA_CLI_PLATFORM_DIR, else ~/.modelarts/platform]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl PlaceArgs {
    #[cfg_attr(not(feature = "platform"), expect(dead_code, reason = "only a platform has a data directory"))]
    fn resolve(&self, ctx: &Ctx) -> PathBuf {
        self.data_dir.as_ref().map_or_else(|| ctx.env.platform_directory(), |path| ctx.env.directory.join(path))
    }
}

/// Start the platform and wait until it is ready
///
/// The platform listens on two ports of 127.0.0.1, free ones picked at the first start and kept. The profile `local` reaches
/// it: `ma-cli -P local …`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli platform start
  ma-cli platform start --slots 4 --data-dir ./platform
  ma-cli -P local obs ls")]
pub struct StartArgs {
    /// Port of the control planes, kept for later starts [default: that of the last start, else a free one]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Port of the object store, kept for later starts [default: that of the last start, else a free one]
    #[arg(long, value_name = "N")]
    obs_port: Option<u16>,
    /// Number of slots that running jobs share [default: the larger of 2 and the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// Python of an engine; `default` stands for all others, `mpirun` and `docker` for these programs [default: python3]
    #[arg(long, value_name = "ENGINE=PATH", value_parser = interpreter)]
    interpreter: Vec<(String, PathBuf)>,
    /// Stay in the foreground until Ctrl-C
    #[arg(long)]
    foreground: bool,
    /// Leave the terminal; given by `platform start` to the process it starts
    #[arg(long, hide = true)]
    detached: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Stop the platform
///
/// Requests under way are finished. Tasks of running jobs go on and are picked up at the next start.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ma-cli platform stop")]
pub struct StopArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show whether the platform runs, and how to reach it
///
/// The table hides secrets; the documents (`-F json`) hold them, for programs that connect to the platform.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli platform status
  ma-cli platform status --query endpoint")]
pub struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show the platform's log
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli platform logs --tail 20
  ma-cli platform logs -f")]
pub struct LogsArgs {
    /// Go on with new lines until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only the last N lines
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Delete everything the platform has stored: buckets, jobs, its account and its keys
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli platform reset
  ma-cli platform reset -y --data-dir ./platform")]
pub struct ResetArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

fn interpreter(text: &str) -> Result<(String, PathBuf), &'static str> {
    let (engine, path) = text.split_once('=').ok_or("not ENGINE=PATH")?;
    Ok((engine.to_owned(), path.into()))
}

/// Runs the command.
///
/// # Errors
/// Whatever the command could not do; without the feature `platform`, always.
pub async fn run(ctx: &Ctx, command: PlatformCommand) -> Result<(), Error> {
    backend::run(ctx, command).await
}
