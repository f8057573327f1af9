//! The supervisor: a process of its own for each task, started by the platform and independent of its life.
//!
//! It leaves the platform's session, takes the task up (once only, whoever else tries), runs its steps in a process group of
//! their own, records how they ended, and leaves no process behind: what a task started ends with it, as in a container.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, set_child_subreaper, setsid, waitpid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::platform::runner::layout::task_mark;
use crate::platform::runner::process::{self, MARK, ProcessId};
use crate::platform::runner::spec::{Finish, Step, TaskSpec, TaskStatus, read_json};
use crate::platform::runner::usage::{self, Sampler, now};

/// How long processes that survive SIGKILL (they hang in the kernel) are waited for before they are left to it.
const SWEEP: Duration = Duration::from_secs(5);

/// Exit code of a task whose program could not be started, as a shell gives it.
const NOT_STARTED: i32 = 127;

/// Carries out the task that the file describes and returns the exit code of the supervisor: 0 when the task's end is on
/// record (or another supervisor has it), 1 when not even that could be done. It may be called from within a runtime.
pub fn run(spec: &Path) -> u8 {
    let supervise = || -> io::Result<()> {
        let Some(spec) = read_json::<TaskSpec>(spec)? else { return Err(io::ErrorKind::NotFound.into()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(supervise(&spec))
    };
    // Fails only when this process leads a group already, as when it was started by hand: then it is on its own anyway.
    let _ = setsid();
    // A thread of its own, because a runtime cannot be started inside another one.
    let outcome = std::thread::scope(|scope| scope.spawn(supervise).join());
    u8::from(!matches!(outcome, Ok(Ok(()))))
}

async fn supervise(spec: &TaskSpec) -> io::Result<()> {
    // Before the claim: from then on the platform may tell us to stop.
    let mut terminate = signal(SignalKind::terminate())?;
    // Orphans of the task become our children, so that none is lost sight of.
    set_child_subreaper(Some(getpid()))?;
    let supervisor = ProcessId::current().ok_or(io::ErrorKind::NotFound)?;
    let stage = spec.steps.first().map(|step| step.stage.clone()).unwrap_or_default();
    let mut status = TaskStatus { supervisor, process: None, stage, finish: None };
    if !status.claim(&spec.folder)? {
        return Ok(());
    }
    let outcome = carry_out(spec, &mut status, &mut terminate).await;
    // Also when something could not be recorded: nobody else would end what was started.
    sweep(status.process);
    status.finish = Some(outcome?);
    status.save(&spec.folder)
}

/// Runs the steps and returns how they ended.
async fn carry_out(
    spec: &TaskSpec,
    status: &mut TaskStatus,
    terminate: &mut tokio::signal::unix::Signal,
) -> io::Result<Finish> {
    let mut log = OpenOptions::new().create(true).append(true).open(&spec.log)?;
    let mut exit = Exit::of(0, String::new());
    for step in &spec.steps {
        step.stage.clone_into(&mut status.stage);
        exit = match start(spec, step, &log) {
            Ok(child) => {
                status.process = child.id().and_then(|pid| ProcessId::of(pid.cast_signed()));
                status.save(&spec.folder)?;
                attend(spec, child, status.process, terminate).await?
            }
            Err(error) => {
                let message = format!("{} cannot be started: {error}", step.argv.first().map_or("the program", String::as_str));
                let _ = writeln!(log, "{message}");
                Exit { last: true, ..Exit::of(NOT_STARTED, message) }
            }
        };
        sweep(status.process);
        if let Some(container) = &spec.container {
            // It is gone when its client came to its end; a client that was killed leaves it behind.
            container.remove();
        }
        if exit.code != 0 || exit.last {
            break;
        }
    }
    let Exit { code, message, at, stopped, .. } = exit;
    Ok(Finish { exit_code: code, at, stage: status.stage.clone(), message, stopped })
}

/// How a step ended; `last` when no other may follow.
struct Exit {
    code: i32,
    message: String,
    last: bool,
    /// When, in milliseconds since 1970.
    at: i64,
    /// It had been told to end.
    stopped: bool,
}

impl Exit {
    /// A step that has ended now, by itself.
    fn of(code: i32, message: String) -> Self {
        Self { code, message, last: false, at: now(), stopped: false }
    }
}

fn start(spec: &TaskSpec, step: &Step, log: &File) -> io::Result<Child> {
    let mut words = spec.wrapper.iter().chain(&step.argv);
    let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(words)
        .env_clear()
        .envs(&spec.environment)
        .env(MARK, task_mark(&spec.folder))
        .current_dir(&spec.working_directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .spawn()
}

/// Waits for the step's end, sampling it, and passes on a request to stop: SIGTERM first, SIGKILL after the grace.
async fn attend(
    spec: &TaskSpec,
    mut child: Child,
    process: Option<ProcessId>,
    terminate: &mut tokio::signal::unix::Signal,
) -> io::Result<Exit> {
    let mut sampler = Sampler::new(spec.cores, spec.memory);
    let mut ticks = tokio::time::interval(Duration::from_millis(spec.sample_period.max(1)));
    ticks.tick().await;
    let mut stopped = false;
    let mut kill_at = None;
    let mut root = None;
    let status = loop {
        let killing = async {
            match kill_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // First: an end that is there already is no answer to a request that is there too.
            biased;
            status = child.wait() => break status?,
            _ = terminate.recv() => {
                if !stopped {
                    stopped = true;
                    signal_all(process, Signal::TERM);
                    kill_at = Some(tokio::time::Instant::now() + Duration::from_millis(spec.grace));
                }
            }
            () = killing => {
                signal_all(process, Signal::KILL);
                kill_at = None;
            }
            _ = ticks.tick() => {
                let below = process::descendants(getpid().as_raw_nonzero().get());
                root = root.or_else(|| spec.container.as_ref()?.process());
                // What runs in a container is below another process than this one.
                let contained = root.map(process::tree).unwrap_or_default();
                usage::append(&spec.folder, &sampler.sample(&[below.as_slice(), &contained].concat()));
                reap(&below, process);
            }
        }
    };
    // The time is that of the end, before what was left behind is looked for.
    Ok(Exit { last: stopped, stopped, ..Exit::of(exit_code(status), describe(status)) })
}

fn signal_all(process: Option<ProcessId>, signal: Signal) {
    if let Some(process) = process {
        process.signal_group(signal);
    }
}

/// Ends everything the step left behind, also what moved to another group or session: all of it is below us.
fn sweep(process: Option<ProcessId>) {
    let deadline = Instant::now() + SWEEP;
    loop {
        let below = process::descendants(getpid().as_raw_nonzero().get());
        reap(&below, process);
        let alive: Vec<_> = below.iter().filter(|stat| !stat.zombie).collect();
        if alive.is_empty() || Instant::now() > deadline {
            return;
        }
        for stat in alive {
            stat.id.signal(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for adopted processes that have ended; the step's own process is waited for by its handle.
fn reap(below: &[process::Stat], own: Option<ProcessId>) {
    let me = getpid().as_raw_nonzero().get();
    for stat in below.iter().filter(|stat| stat.zombie && stat.parent == me && Some(stat.id) != own) {
        if let Some(pid) = Pid::from_raw(stat.id.pid) {
            // Gone already is what is wanted.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn describe(status: ExitStatus) -> String {
    status.signal().map(|signal| format!("ended by signal {signal}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::{describe, exit_code};

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        // A raw wait status: the exit code in the second byte, or a signal in the lowest.
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(describe(ExitStatus::from_raw(9)), "ended by signal 9");
        assert_eq!(describe(ExitStatus::from_raw(7 << 8)), "");
    }
}
