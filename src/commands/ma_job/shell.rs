//! `ma-job shell`.

use std::convert::Infallible;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::Api;
use crate::api::modelarts::training_job::Phase;
use crate::api::terminal::{self, Listener, Said, Speaker, Wish};
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::screen::RawMode;

/// Open a shell in a running task, or run a command there
///
/// In the task's environment and folder. With a terminal on both ends of this command the task gets one too; otherwise standard input,
/// output and error are passed on as they are. The exit code is that of the shell or command. Works on the embedded platform; the API
/// of ModelArts has no such operation, its console has (Cloud Shell).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job shell 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job shell 494b55e1-f2b8-4932-bbb1-c9768b0000aa -t worker-1
  ma-cli ma-job shell -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -- py-spy dump --pid 42
  tar c lib | ma-cli ma-job shell 494b55e1-f2b8-4932-bbb1-c9768b0000aa -- tar x")]
pub struct ShellArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// Task of the job
    #[arg(short = 't', long, value_name = "TEXT", default_value = "worker-0")]
    task_id: String,
    /// Pass pipes even where there is a terminal
    #[arg(long)]
    no_terminal: bool,
    /// Command and its arguments [default: a shell]
    #[arg(value_name = "CMD", last = true)]
    command: Vec<String>,
}

/// Runs the shell or command, and ends as it does.
///
/// # Errors
/// There is no such job or task, it does not run, the service has no such operation, the connection breaks.
pub async fn run(ctx: &Ctx, args: ShellArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    is_running(&api, id).await?;
    let kind = ctx.env.get("TERM").unwrap_or("xterm");
    let (rows, columns) = ctx.ui.screen_size().unwrap_or((24, 80));
    let has_terminal = ctx.ui.has_screen() && !args.no_terminal;
    let terminal = has_terminal.then_some((rows, columns, kind));
    let wish = Wish { job: id, task: &args.task_id, words: &args.command, terminal };
    let context = |error| Error::from(error).context(&format!("task [{}] of training job [{id}]", args.task_id));
    let opened = terminal::open(&api, &wish).await.map_err(context);
    let Some((listener, speaker)) = named::found_task(&api, id, &args.task_id, opened).await? else {
        let message = "this service has no operation that opens a terminal in a task";
        return Err(Error::new(Kind::Unsupported, message)
            .hint("in the console of ModelArts: Cloud Shell, on the page of a running job in a dedicated pool")
            .hint("on the embedded platform it works: ma-cli -P local ma-job shell ID"));
    };
    let raw = if has_terminal { Some(RawMode::enter()?) } else { None };
    let code = converse(ctx, listener, speaker, has_terminal).await;
    drop(raw);
    ctx.set_exit_code(u8::try_from(code?).unwrap_or(u8::MAX));
    Ok(())
}

async fn is_running(api: &Api, id: &str) -> Result<(), Error> {
    let job = named::show(api, id).await?;
    let phase = job.phase();
    if phase == Phase::Running {
        return Ok(());
    }
    let error = Error::new(Kind::Conflict, format!("training job [{id}] is {phase}: this job is not running"));
    Err(match phase {
        Phase::Creating | Phase::Pending => {
            error.hint(format!("its events say what it waits for: ma-cli ma-job get-event -i {id}"))
        }
        _ => error.hint(format!("its log is kept: ma-cli ma-job get-log -i {id}")),
    })
}

/// Carries bytes both ways until the program elsewhere has ended; returns its exit code.
async fn converse(ctx: &Ctx, mut listener: Listener, mut speaker: Speaker, has_terminal: bool) -> Result<i32, Error> {
    let mut input = ctx.ui.input_pieces()?;
    let watch = |kind| signal(kind).map_err(|error| Error::new(Kind::Local, "cannot watch signals").caused_by(error));
    let mut resized = watch(SignalKind::window_change())?;
    let mut told = [watch(SignalKind::terminate())?, watch(SignalKind::hangup())?];
    let broken = |error| Error::new(Kind::Network, "the connection to the task broke").caused_by(error);
    let listening = async {
        loop {
            match listener.next().await.map_err(broken)? {
                Some(Said::Output(bytes)) => ctx.ui.write(&bytes)?,
                Some(Said::Errors(bytes)) => ctx.ui.raw_errors(&bytes)?,
                Some(Said::Exit(code)) => return Ok(code),
                None => return Err(Error::new(Kind::Network, "the connection to the task has ended")),
            }
        }
    };
    let speaking = async {
        let mut is_open = true;
        loop {
            let sent = tokio::select! {
                piece = input.recv(), if is_open => match piece {
                    Some(piece) => speaker.data(&piece).await,
                    None => {
                        is_open = false;
                        speaker.end().await
                    }
                },
                _ = resized.recv() => match ctx.ui.screen_size() {
                    Some((rows, columns)) if has_terminal => speaker.resize(rows, columns).await,
                    _ => Ok(()),
                },
            };
            if let Err(error) = sent {
                // The program no longer listens; what it said, and how it ended, is still to come.
                tracing::debug!("nothing more is sent: {error}");
                return std::future::pending::<Infallible>().await;
            }
        }
    };
    tokio::select! {
        code = listening => code,
        never = speaking => match never {},
        () = any(&mut told) => Err(Error::new(Kind::Interrupted, "ended by a signal; the task goes on")),
    }
}

async fn any(signals: &mut [Signal; 2]) {
    let [first, second] = signals;
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}
