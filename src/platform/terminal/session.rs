//! One shell, from its start to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadHalf, WriteHalf, split};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::platform::runner::layout::task_mark;
use crate::platform::runner::process::{MARK, ProcessId, kill_marked};
use crate::platform::runner::spec::{Observed, observe};
use crate::platform::terminal::frame::{self, Frame};
use crate::platform::terminal::input::{Input, Terminal, streams};

/// Between two looks whether the task still runs.
const POLL: Duration = Duration::from_millis(200);
/// How long a shell has after its client has left before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long output that was written before the end is waited for, where others may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Most bytes in one frame of data.
const PIECE: usize = 32 << 10;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Program and arguments.
    pub words: Vec<String>,
    /// Rows and columns of the client's terminal; `None` for pipes.
    pub size: Option<(u16, u16)>,
    /// Kind of the client's terminal, the variable `TERM`.
    pub kind: String,
    /// The task's folder.
    pub folder: PathBuf,
    /// The task's environment.
    pub environment: BTreeMap<String, String>,
    /// The task's working directory.
    pub working_directory: PathBuf,
    /// This program, which becomes the shell.
    pub executable: PathBuf,
}

/// A shell that has been started.
struct Shell {
    child: Child,
    process: Option<ProcessId>,
    input: Input,
    /// What is read of its pseudo-terminal.
    terminal: Option<File>,
}

/// Runs the shell; returns when it has ended and so has the task, until which what was started in the background may run on, or
/// when `ending` says so.
pub async fn run<S: AsyncRead + AsyncWrite + Send + 'static>(wish: Wish, stream: S, ending: CancellationToken) {
    let (mut reader, writer) = split(stream);
    let writer = Arc::new(Mutex::new(writer));
    let code = match start(&wish) {
        Ok(shell) => attend(&wish, shell, &mut reader, &writer, &ending).await,
        Err(error) => {
            let program = wish.words.first().map_or("the shell", String::as_str);
            let text = format!("{program} cannot be started: {error}\r\n");
            let _ = frame::write(&mut *writer.lock().await, &Frame::Errors(text.into_bytes())).await;
            127
        }
    };
    // The client may be gone.
    let _ = frame::write(&mut *writer.lock().await, &Frame::Exit(code)).await;
    drop((reader, writer));
    // What runs on in the background ends with the task, as in a container.
    while is_running(&wish) && !ending.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = ending.cancelled() => return,
        }
    }
    if !is_running(&wish) {
        kill_marked(&task_mark(&wish.folder), &[]);
    }
}

fn is_running(wish: &Wish) -> bool {
    matches!(observe(&wish.folder), Ok(Observed::Running(_)))
}

fn start(wish: &Wish) -> io::Result<Shell> {
    let mut command = Command::new(&wish.executable);
    command.args(["platform", "run-shell", "--"]).args(&wish.words);
    command.env_clear().envs(&wish.environment).env(MARK, task_mark(&wish.folder)).current_dir(&wish.working_directory);
    let terminal = match wish.size {
        Some((rows, columns)) => {
            let (terminal, theirs) = Terminal::open(rows, columns)?;
            let [input, output, errors] = streams(theirs)?;
            command.env("TERM", &wish.kind).stdin(input).stdout(output).stderr(errors);
            Some(terminal)
        }
        None => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            None
        }
    };
    let mut child = command.spawn()?;
    // The command holds our copies of the terminal's other side.
    drop(command);
    let process = child.id().and_then(|pid| ProcessId::of(pid.cast_signed()));
    let (terminal, input) = match terminal.map(Terminal::split) {
        Some((terminal, input)) => (Some(terminal), input),
        None => (None, Input::Pipe(child.stdin.take())),
    };
    Ok(Shell { child, process, input, terminal })
}

type Writer<S> = Arc<Mutex<WriteHalf<S>>>;

/// Carries bytes both ways until the shell ends; returns its exit code.
async fn attend<S: AsyncRead + AsyncWrite + Send + 'static>(
    wish: &Wish,
    shell: Shell,
    reader: &mut ReadHalf<S>,
    writer: &Writer<S>,
    ending: &CancellationToken,
) -> i32 {
    let Shell { mut child, process, mut input, terminal } = shell;
    let (outputs, errors) = (child.stdout.take(), child.stderr.take());
    let pumping = async {
        tokio::join!(
            pump(terminal, Frame::Data, writer),
            pump(outputs, Frame::Data, writer),
            pump(errors, Frame::Errors, writer)
        );
    };
    tokio::pin!(pumping);
    let mut has_pumped = false;
    let status = {
        let typing = type_in(reader, &mut input);
        tokio::pin!(typing);
        let mut has_left = false;
        let mut ticks = tokio::time::interval(POLL);
        let mut kill_at = None;
        loop {
            tokio::select! {
                status = child.wait() => break status,
                () = &mut pumping, if !has_pumped => has_pumped = true,
                // The connection has ended: nobody reads on.
                () = &mut typing, if !has_left => {
                    has_left = true;
                    kill_at = Some(tokio::time::Instant::now() + GRACE);
                    signal(process, Signal::HUP);
                }
                _ = ticks.tick() => {
                    let is_over = kill_at.is_some_and(|at| tokio::time::Instant::now() >= at);
                    if is_over || ending.is_cancelled() || !is_running(wish) {
                        signal(process, Signal::KILL);
                    }
                }
            }
        }
    };
    // What it wrote last may still be on its way.
    if !has_pumped {
        let _ = tokio::time::timeout(LAST_WORDS, pumping).await;
    }
    status.map_or(-1, exit_code)
}

/// Passes on what is typed, until the connection ends.
async fn type_in<S: AsyncRead + AsyncWrite>(reader: &mut ReadHalf<S>, input: &mut Input) {
    while let Ok(Some(frame)) = frame::read(reader).await {
        let done = match frame {
            Frame::Data(bytes) => input.write_all(&bytes).await,
            Frame::Resize(rows, columns) => input.resize(rows, columns),
            Frame::EndOfInput => input.end().await,
            Frame::Exit(_) | Frame::Errors(_) | Frame::Unknown(_) => Ok(()),
        };
        if let Err(error) = done {
            // The shell has closed its side; its end is seen elsewhere.
            tracing::debug!(error = &error as &dyn std::error::Error, "a shell takes no input");
        }
    }
}

async fn pump<S: AsyncRead + AsyncWrite>(
    source: Option<impl AsyncRead + Unpin>,
    frame: impl Fn(Vec<u8>) -> Frame,
    writer: &Writer<S>,
) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; PIECE];
    while let Ok(length @ 1..) = source.read(&mut buffer).await {
        if frame::write(&mut *writer.lock().await, &frame(buffer[..length].to_vec())).await.is_err() {
            return;
        }
    }
}

fn signal(process: Option<ProcessId>, signal: Signal) {
    if let Some(process) = process {
        process.signal_group(signal);
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
