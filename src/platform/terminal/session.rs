//! One shell, from its start to its end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadHalf, WriteHalf, split};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::platform::runner::layout::task_mark;
use crate::platform::runner::process::{MARK, ProcessId, SHELL_MARK, kill_with};
use crate::platform::runner::spec::{STATUS_FILE, TaskStatus, read_json};
use crate::platform::terminal::frame::{self, Frame};
use crate::platform::terminal::input::{Input, Terminal, streams};

/// Between two looks whether the task still runs.
const POLL: Duration = Duration::from_millis(200);
/// How long a shell has after its client has left before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long more output is waited for once the shell has ended, where others may hold the pipe open. How long the client takes to
/// read it does not count.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Most bytes that a pipe can hold: more cannot have been written before the end.
const LARGEST_PIPE: usize = 1 << 20;
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
    /// Who carries out the start of the task that is to be entered.
    pub supervisor: ProcessId,
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

/// The connection to the client, as those use it who write to it.
struct Client<S> {
    writer: Mutex<WriteHalf<S>>,
    /// Cancelled when a write fails: nobody is there any more.
    left: CancellationToken,
    /// What is typed waits until the shell reads it, and the end of the connection behind it is not seen.
    is_waiting: AtomicBool,
    /// Cancelled when the shell has ended.
    ended: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite> Client<S> {
    /// Writes a frame. It must not be given up: half of one would spoil what comes after it.
    async fn write(&self, frame: &Frame) -> io::Result<()> {
        let written = frame::write(&mut *self.writer.lock().await, frame).await;
        if written.is_err() {
            self.left.cancel();
        }
        written
    }
}

/// Runs the shell; returns when it has ended and so has the task, until which what was started in the background may run on, or
/// when `ending` says so.
pub async fn run<S: AsyncRead + AsyncWrite + Send + 'static>(wish: Wish, stream: S, ending: CancellationToken) {
    let (mut reader, writer) = split(stream);
    let client = Client {
        writer: Mutex::new(writer),
        left: CancellationToken::new(),
        is_waiting: AtomicBool::new(false),
        ended: CancellationToken::new(),
    };
    let mark = uuid::Uuid::new_v4().simple().to_string();
    let (wish, mark, ended) = (&wish, mark.as_str(), client.ended.clone());
    // The connection is closed as soon as all is said.
    let speaking = async {
        let client = client;
        let code = match start(wish, mark) {
            Ok(shell) => attend(wish, shell, &mut reader, &client, &ending).await,
            Err(error) => {
                client.ended.cancel();
                let program = wish.words.first().map_or("the shell", String::as_str);
                let text = format!("{program} cannot be started: {error}\r\n");
                let _ = client.write(&Frame::Errors(text.into_bytes())).await;
                127
            }
        };
        // The client may be gone.
        let _ = client.write(&Frame::Exit(code)).await;
        drop((reader, client));
    };
    tokio::pin!(speaking);
    let mut speaks = true;
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while speaks || is_running(wish) {
        tokio::select! {
            () = &mut speaking, if speaks => speaks = false,
            // What runs on in the background ends with the task, as in a container; by its own mark: the task may be started again.
            _ = ticks.tick() => if !is_running(wish) {
                kill_with(SHELL_MARK, mark, &[]);
            },
            // A client that does not read is not waited for then.
            () = ending.cancelled(), if !speaks || ended.is_cancelled() => return,
        }
    }
    kill_with(SHELL_MARK, mark, &[]);
}

/// Whether the start of the task runs that the shell was opened in.
fn is_running(wish: &Wish) -> bool {
    match read_json::<TaskStatus>(&wish.folder.join(STATUS_FILE)) {
        Ok(Some(status)) => status.supervisor == wish.supervisor && status.finish.is_none() && status.supervisor.is_alive(),
        Ok(None) => false,
        // It may be read the next time.
        Err(_) => wish.supervisor.is_alive(),
    }
}

fn start(wish: &Wish, mark: &str) -> io::Result<Shell> {
    let mut command = Command::new(&wish.executable);
    command.args(["platform", "run-shell", "--"]).args(&wish.words);
    command.env_clear().envs(&wish.environment).env(MARK, task_mark(&wish.folder)).env(SHELL_MARK, mark);
    command.current_dir(&wish.working_directory);
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

/// Carries bytes both ways until the shell ends; returns its exit code.
async fn attend<S: AsyncRead + AsyncWrite>(
    wish: &Wish,
    shell: Shell,
    reader: &mut ReadHalf<S>,
    client: &Client<S>,
    ending: &CancellationToken,
) -> i32 {
    let Shell { mut child, process, mut input, terminal } = shell;
    let (outputs, errors) = (child.stdout.take(), child.stderr.take());
    let pumping = async {
        tokio::join!(
            pump(terminal, Frame::Data, client),
            pump(outputs, Frame::Data, client),
            pump(errors, Frame::Errors, client),
            probe(client)
        );
    };
    tokio::pin!(pumping);
    let mut has_pumped = false;
    let status = {
        let typing = type_in(reader, &mut input, client);
        tokio::pin!(typing);
        let mut has_left = false;
        let mut ticks = tokio::time::interval(POLL);
        let mut kill_at = None;
        loop {
            tokio::select! {
                status = child.wait() => break status,
                () = &mut pumping, if !has_pumped => has_pumped = true,
                // The connection has ended: nobody reads on.
                () = async { tokio::select! { () = &mut typing => {}, () = client.left.cancelled() => {} } }, if !has_left => {
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
    client.ended.cancel();
    // What it wrote last is still on its way, as fast as the client takes it.
    if !has_pumped {
        pumping.await;
    }
    status.map_or(-1, exit_code)
}

/// Passes on what is typed, until the connection ends.
async fn type_in<S: AsyncRead + AsyncWrite>(reader: &mut ReadHalf<S>, input: &mut Input, client: &Client<S>) {
    while let Ok(Some(frame)) = frame::read(reader).await {
        client.is_waiting.store(true, Ordering::Relaxed);
        let done = match frame {
            Frame::Data(bytes) => input.write_all(&bytes).await,
            Frame::Resize(rows, columns) => input.resize(rows, columns),
            Frame::EndOfInput => input.end().await,
            Frame::Exit(_) | Frame::Errors(_) | Frame::Unknown(_) => Ok(()),
        };
        client.is_waiting.store(false, Ordering::Relaxed);
        if let Err(error) = done {
            // The shell has closed its side; its end is seen elsewhere.
            tracing::debug!(error = &error as &dyn std::error::Error, "a shell takes no input");
        }
    }
}

/// While nothing more is read from the client, finds out whether it is still there: with frames of nothing, which cannot be written
/// to a connection that has ended.
async fn probe<S: AsyncRead + AsyncWrite>(client: &Client<S>) {
    while client.ended.run_until_cancelled(tokio::time::sleep(POLL)).await.is_some() {
        if client.is_waiting.load(Ordering::Relaxed) && client.write(&Frame::Data(Vec::new())).await.is_err() {
            return;
        }
    }
}

/// Passes on what the shell writes: all of it, and when the shell has ended, what it has left.
async fn pump<S: AsyncRead + AsyncWrite>(
    source: Option<impl AsyncRead + Unpin>,
    frame: impl Fn(Vec<u8>) -> Frame,
    client: &Client<S>,
) {
    let Some(mut source) = source else { return };
    let mut buffer = vec![0; PIECE];
    // Others may hold the pipe open, and write to it for ever.
    let mut left = LARGEST_PIPE;
    while left > 0 {
        let is_late = async {
            client.ended.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let length = tokio::select! {
            biased;
            read = source.read(&mut buffer) => read.unwrap_or(0),
            () = is_late => 0,
        };
        if length == 0 || client.write(&frame(buffer[..length].to_vec())).await.is_err() {
            return;
        }
        if client.ended.is_cancelled() {
            left = left.saturating_sub(length);
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
    use tokio_util::sync::CancellationToken;

    use super::{LAST_WORDS, Wish, run};
    use crate::platform::runner::process::ProcessId;
    use crate::platform::runner::spec::TaskStatus;
    use crate::platform::terminal::frame::{self, Frame};

    /// A shell that runs a script in a task whose supervisor is this process; the client's side of its connection.
    fn open(folder: &Path, script: &str, ending: &CancellationToken) -> DuplexStream {
        let supervisor = ProcessId::current().unwrap();
        let status = TaskStatus { supervisor, process: None, stage: "training".into(), finish: None };
        status.save(folder).unwrap();
        // In place of this program, which a unit test is not: `platform run-shell -- WORDS` begins a session, too.
        let executable = folder.join("executable");
        std::fs::write(&executable, "#!/bin/sh\nshift 3\nexec setsid \"$@\"\n").unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        let wish = Wish {
            words: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            size: None,
            kind: String::new(),
            folder: folder.to_owned(),
            supervisor,
            environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
            working_directory: folder.to_owned(),
            executable,
        };
        let (ours, theirs) = duplex(1024);
        tokio::spawn(run(wish, theirs, ending.clone()));
        ours
    }

    #[tokio::test]
    async fn a_client_that_pauses_gets_all_that_was_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let ending = CancellationToken::new();
        // Fits into the pipe, so that the command ends whether it is read or not.
        let mut client = open(folder.path(), "head -c 60000 /dev/zero; touch written; exit 3", &ending);
        while !folder.path().join("written").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What is tested is the time that a client may take.
        tokio::time::sleep(LAST_WORDS + Duration::from_millis(300)).await;
        let mut length = 0;
        let code = loop {
            match frame::read(&mut client).await.unwrap() {
                Some(Frame::Data(bytes)) => length += bytes.len(),
                Some(Frame::Exit(code)) => break code,
                other => panic!("{other:?} after {length} bytes"),
            }
        };
        assert_eq!((length, code), (60_000, 3));
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
        ending.cancel();
    }

    #[tokio::test]
    async fn a_command_that_reads_nothing_ends_when_its_client_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let ending = CancellationToken::new();
        let mut client = open(folder.path(), "echo $$; exec sleep 600", &ending);
        let Some(Frame::Data(pid)) = frame::read(&mut client).await.unwrap() else { panic!("no pid") };
        let pid = ProcessId::of(String::from_utf8(pid).unwrap().trim().parse().unwrap()).unwrap();
        // More than the pipe holds: the platform has it, and waits for the command to read.
        frame::write(&mut client, &Frame::Data(vec![0; 200_000])).await.unwrap();
        drop(client);
        let started = Instant::now();
        while pid.is_alive() {
            assert!(started.elapsed() < Duration::from_secs(20), "it runs on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ending.cancel();
    }

    #[tokio::test]
    async fn what_a_shell_has_left_ends_with_the_start_of_the_task_and_no_other_process_does() {
        let folder = tempfile::tempdir().unwrap();
        let ending = CancellationToken::new();
        let mut client = open(folder.path(), "sleep 600 >&- 2>&- & echo $!", &ending);
        let Some(Frame::Data(pid)) = frame::read(&mut client).await.unwrap() else { panic!("no pid") };
        let left = ProcessId::of(String::from_utf8(pid).unwrap().trim().parse().unwrap()).unwrap();
        assert_eq!(frame::read(&mut client).await.unwrap(), Some(Frame::Exit(0)));
        // The task is started again at once, by another supervisor; its program carries the task's mark.
        let mut command = std::process::Command::new("sleep");
        let mark = crate::platform::runner::layout::task_mark(folder.path());
        let mut program = command.arg("600").env(super::MARK, mark).spawn().unwrap();
        let supervisor = ProcessId::of(program.id().cast_signed()).unwrap();
        let status = TaskStatus { supervisor, process: None, stage: "training".into(), finish: None };
        status.save(folder.path()).unwrap();
        let started = Instant::now();
        while left.is_alive() {
            assert!(started.elapsed() < Duration::from_secs(20), "it runs on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(program.try_wait().unwrap().is_none());
        program.kill().unwrap();
        program.wait().unwrap();
        ending.cancel();
    }
}
