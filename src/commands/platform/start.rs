//! `ma-cli platform start`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::status::{self, Brief};
use super::{StartArgs, failure};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::platform::instance::{self, Record, Status};
use crate::platform::modelarts::{Clock, Timing};
use crate::platform::{Options, Platform, files, log};

/// How long a detached platform may take to be ready; it takes some 50 milliseconds, more with jobs to pick up again.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often is looked whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Starts the platform, or says that it runs already.
pub(super) async fn run(ctx: &Ctx, args: StartArgs) -> Result<(), Error> {
    let data_dir = args.place.resolve(ctx);
    if args.foreground {
        let result = serve(ctx, &args, &data_dir).await;
        if let (Err(error), true) = (&result, args.detached) {
            failure::leave(&data_dir, error);
        }
        return result;
    }
    if let Status::Running(record) = status::settled(&data_dir, READY_WITHIN).await? {
        return already_running(ctx, record, data_dir);
    }
    match launch(ctx, &args, &data_dir).await {
        Ok(record) => {
            ctx.ui.ok(&format!("The platform is ready (pid {}); use it with `-P local`", record.pid))?;
            ctx.ui.emit(&Brief { record, data_dir })
        }
        // Somebody else may have been faster.
        Err(error) => match status::settled(&data_dir, READY_WITHIN).await? {
            Status::Running(record) => already_running(ctx, record, data_dir),
            _ => Err(error),
        },
    }
}

fn already_running(ctx: &Ctx, record: Record, data_dir: PathBuf) -> Result<(), Error> {
    ctx.ui.ok(&format!("The platform is already running (pid {})", record.pid))?;
    ctx.ui.emit(&Brief { record, data_dir })
}

/// Serves until the process is told to end.
async fn serve(ctx: &Ctx, args: &StartArgs, data_dir: &Path) -> Result<(), Error> {
    if args.detached {
        // Fails only where the process leads a session already, which is as good.
        let _ = rustix::process::setsid();
    }
    let local = |error| Error::new(Kind::Local, "cannot receive signals").caused_by(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(local)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(local)?;
    files::make_private_folder(data_dir).map_err(failure::explain)?;
    log::enable(&data_dir.join(files::LOG)).map_err(failure::explain)?;
    let executable = std::env::current_exe()
        .map_err(|error| Error::new(Kind::Local, "cannot find the path of this program").caused_by(error))?;
    let options = Options {
        data_dir: data_dir.to_owned(),
        port: args.port,
        obs_port: args.obs_port,
        slots: args.slots,
        interpreters: interpreters(ctx, args).collect(),
        executable,
        timing: Timing::default(),
        clock: Clock::default(),
    };
    let platform = Platform::start(options).await.map_err(failure::explain)?;
    if !args.detached {
        ctx.ui.ok(&format!("The platform is ready at {}; Ctrl-C stops it", platform.endpoint))?;
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    platform.shutdown().await;
    Ok(())
}

/// Starts this program again, detached, and waits until it is ready.
async fn launch(ctx: &Ctx, args: &StartArgs, data_dir: &Path) -> Result<Record, Error> {
    files::make_private_folder(data_dir).map_err(failure::explain)?;
    let path = data_dir.join(files::LOG);
    let mut child = spawn(ctx, args, data_dir, &path)?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(record) = instance::announced(data_dir, child.id()) {
            return Ok(record);
        }
        let gone = child.try_wait().map_err(|error| Error::new(Kind::Local, "cannot watch the platform").caused_by(error))?;
        if let Some(status) = gone {
            let unknown = || Error::new(Kind::Local, format!("the platform ended at once ({status})"));
            let error = failure::take(data_dir, child.id()).unwrap_or_else(unknown);
            return Err(error.context("cannot start the platform").hint(format!("its log is [{}]", path.display())));
        }
        if Instant::now() >= deadline {
            // It holds the lock and would be in the way of the next attempt.
            let _ = child.kill();
            let message = format!("the platform was not ready within {} seconds", READY_WITHIN.as_secs());
            return Err(Error::new(Kind::Timeout, message).hint(format!("its log is [{}]", path.display())));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The interpreters with whole paths; a bare name is looked for in the search path later.
fn interpreters(ctx: &Ctx, args: &StartArgs) -> impl Iterator<Item = (String, PathBuf)> {
    args.interpreter.iter().map(|(engine, path)| {
        let is_bare = path.components().count() == 1;
        (engine.clone(), if is_bare { path.clone() } else { ctx.env.directory.join(path) })
    })
}

fn spawn(ctx: &Ctx, args: &StartArgs, data_dir: &Path, path: &Path) -> Result<Child, Error> {
    let local = |error| Error::new(Kind::Local, "cannot start the platform").caused_by(error);
    log::rotate(path);
    let output = files::open_private(path).map_err(failure::explain)?;
    let mut command = Command::new(std::env::current_exe().map_err(local)?);
    command.args(["platform", "start", "--foreground", "--detached", "--data-dir"]).arg(data_dir);
    let numbers = [("--port", args.port.map(u32::from)), ("--obs-port", args.obs_port.map(u32::from)), ("--slots", args.slots)];
    for (option, number) in numbers {
        if let Some(number) = number {
            command.arg(option).arg(number.to_string());
        }
    }
    for (engine, path) in interpreters(ctx, args) {
        command.arg("--interpreter").arg(format!("{engine}={}", path.display()));
    }
    // What it runs has no use for the credentials of whoever starts it.
    command.env_clear().envs(ctx.child_environment());
    // A platform must not keep the folder busy that it was started from.
    command.current_dir("/").stdin(Stdio::null()).stdout(output.try_clone().map_err(local)?).stderr(output);
    command.spawn().map_err(local)
}
