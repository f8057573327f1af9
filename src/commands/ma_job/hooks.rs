//! What is run or told when a job changes its state: a command, a web address.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use url::Url;

use crate::api::modelarts::training_job::{Phase, TrainingJob};
use crate::api::webhook;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// How long a command may take: whoever waits for a job shall not wait for this.
const LONGEST_CALL: Duration = Duration::from_secs(600);
/// How long the output of a command is read after its end; a process that it left behind may keep the pipe open.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// Bytes of a command's output that are shown.
const MOST_OUTPUT: usize = 64 << 10;

/// Options that say what is to happen when a job changes its state.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct HookArgs {
    /// Run this command on each change of state, without a shell: MA_CLI_JOB_ID, MA_CLI_JOB_NAME, MA_CLI_JOB_STATE,
    /// MA_CLI_JOB_PREVIOUS_STATE and MA_CLI_JOB_REASON in its environment, the same as JSON on its standard input; ended
    /// after ten minutes
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Post the same JSON to this address on each change of state
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

/// What is to be done on a change of state.
#[derive(Clone, Debug, Default)]
pub(super) struct Hooks {
    command: Vec<String>,
    webhook: Option<Url>,
}

/// A change of a job's state.
#[derive(Clone, Debug)]
pub(super) struct Change {
    job: TrainingJob,
    previous: Option<Phase>,
    at: OffsetDateTime,
}

impl Change {
    /// A change that is seen now.
    pub(super) fn new(job: &TrainingJob, previous: Option<Phase>) -> Self {
        Self { job: job.clone(), previous, at: OffsetDateTime::now_utc() }
    }

    /// What receivers are told. The job's own document stays here: it may hold secrets of the user's in environment variables.
    fn document(&self) -> Value {
        let (job, state) = (&self.job, self.job.phase().to_string());
        let reason = job.failure();
        let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        json!({
            "event": "state",
            "job_id": job.id(),
            "job_name": job.name(),
            "state": state,
            "previous_state": self.previous.as_ref().map(ToString::to_string),
            "is_final": job.phase().is_final(),
            "reason": reason,
            "duration": job.duration(),
            "create_time": job.create_time(),
            "start_time": job.start_time(),
            "time": self.at.format(&Rfc3339).unwrap_or_default(),
            "text": format!("Training job {} ({}) is {state}{because}", job.name(), job.id()),
        })
    }

    fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("MA_CLI_JOB_ID", self.job.id()),
            ("MA_CLI_JOB_NAME", self.job.name()),
            ("MA_CLI_JOB_STATE", self.job.phase().to_string()),
            ("MA_CLI_JOB_PREVIOUS_STATE", self.previous.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("MA_CLI_JOB_REASON", self.job.failure().unwrap_or_default()),
        ]
    }
}

impl Hooks {
    /// Reads the options.
    ///
    /// # Errors
    /// A quote without its end, an address that is none.
    pub(super) fn new(args: &HookArgs) -> Result<Self, Error> {
        let command = match &args.exec {
            None => Vec::new(),
            Some(text) => match shell_words::split(text) {
                Ok(words) if !words.is_empty() => words,
                Ok(_) => return Err(Error::new(Kind::Usage, "option --exec: the command is empty")),
                Err(error) => return Err(Error::new(Kind::Usage, format!("option --exec: [{text}]: {error}"))),
            },
        };
        let address = |text: &String| {
            webhook::address(text).map_err(|error| Error::new(Kind::Usage, format!("option --webhook: {error}")))
        };
        Ok(Self { command, webhook: args.webhook.as_ref().map(address).transpose()? })
    }

    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.command.is_empty() && self.webhook.is_none()
    }

    /// Runs and tells; what goes wrong is a warning, since the job itself goes on.
    pub(super) async fn call(&self, ctx: &Ctx, change: &Change) {
        if let (Some(url), Ok(client)) = (&self.webhook, ctx.http_client())
            && let Err(error) = webhook::post(client, url, &change.document()).await
        {
            ctx.ui.warn(&format!("--webhook: {}", Error::from(error)));
        }
        if let Some((program, arguments)) = self.command.split_first()
            && let Err(error) = execute(ctx, program, arguments, change).await
        {
            ctx.ui.warn(&format!("--exec: {error}"));
        }
    }
}

/// Runs the program; what it prints goes to standard error, since standard output is data.
async fn execute(ctx: &Ctx, program: &str, arguments: &[String], change: &Change) -> Result<(), Error> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&ctx.env.directory);
    command.env_clear().envs(ctx.child_environment()).envs(change.environment());
    let input = format!("{}\n", change.document());
    let outcome = call(command, input, LONGEST_CALL).await;
    let (status, outputs) = outcome.map_err(|error| Error::new(Kind::Local, format!("[{program}] cannot be run: {error}")))?;
    for output in &outputs {
        let text = String::from_utf8_lossy(output);
        if !text.trim_end().is_empty() {
            ctx.ui.note_lines(text.trim_end());
        }
    }
    let message = match status {
        Some(status) if status.success() => return Ok(()),
        Some(status) => format!("[{program}] ended with {status}"),
        None => format!("[{program}] was ended, it took more than {} minutes", LONGEST_CALL.as_secs() / 60),
    };
    Err(Error::new(Kind::Local, message))
}

/// Runs a command with that input. Gives how it ended, `None` when it was ended because it took too long, and the beginning of
/// what it wrote to standard output and standard error.
async fn call(mut command: Command, input: String, most: Duration) -> std::io::Result<(Option<ExitStatus>, [Vec<u8>; 2])> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input closes it early.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let [mut output, mut errors] = [Vec::new(), Vec::new()];
    let status = {
        let beside = async { tokio::join!(feed, keep(stdout, &mut output), keep(stderr, &mut errors)) };
        let ending = tokio::time::timeout(most, child.wait());
        tokio::pin!(beside, ending);
        tokio::select! {
            _ = &mut beside => ending.await,
            status = &mut ending => {
                let _ = tokio::time::timeout(LAST_OUTPUT, beside).await;
                status
            }
        }
    };
    match status {
        Ok(status) => Ok((Some(status?), [output, errors])),
        Err(_) => {
            child.kill().await?;
            Ok((None, [output, errors]))
        }
    }
}

/// Reads to the end and keeps the beginning.
async fn keep(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut piece = [0; 4096];
    while let Ok(read) = stream.read(&mut piece).await
        && read > 0
    {
        let room = MOST_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::time::{Duration, Instant};

    use tokio::process::Command;

    use super::{Change, HookArgs, Hooks, MOST_OUTPUT, call};
    use crate::api::modelarts::training_job::{Phase, TrainingJob};

    #[test]
    fn commands_are_split_as_a_shell_would() {
        let hooks = |text: &str| Hooks::new(&HookArgs { exec: Some(text.to_owned()), webhook: None });
        assert_eq!(hooks(r#"notify "a b" 'c $d' e\ f"#).unwrap().command, ["notify", "a b", "c $d", "e f"]);
        assert!(hooks("say \"x").is_err() && hooks("  ").is_err());
        let bad = Hooks::new(&HookArgs { exec: None, webhook: Some("secret-word".to_owned()) }).unwrap_err().to_string();
        assert!(!bad.contains("secret-word"), "{bad}");
        assert!(Hooks::new(&HookArgs::default()).unwrap().is_empty());
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_command_is_waited_for_but_not_what_it_leaves_behind() {
        let long = Duration::from_secs(30);
        let begun = Instant::now();
        let (status, [output, errors]) =
            call(shell("sleep 60 & read line; echo got $line; echo odd >&2; exit 3"), "x\n".to_owned(), long).await.unwrap();
        assert_eq!((status.unwrap().code(), output.as_slice(), errors.as_slice()), (Some(3), &b"got x\n"[..], &b"odd\n"[..]));
        assert!(begun.elapsed() < Duration::from_secs(20));
        let (status, [output, _]) =
            call(shell("echo begun; exec sleep 60"), String::new(), Duration::from_millis(300)).await.unwrap();
        assert!(status.is_none() && begun.elapsed() < Duration::from_secs(20));
        assert_eq!(output, b"begun\n");
        let (status, [output, _]) = call(shell("head -c 1000000 /dev/zero"), String::new(), long).await.unwrap();
        assert!(status.unwrap().success() && output.len() == MOST_OUTPUT);
        assert!(call(Command::new("no-such-program"), String::new(), long).await.is_err());
    }

    #[test]
    fn receivers_are_told_the_state_and_not_the_job_s_variables() {
        let job = TrainingJob(json!({"metadata": {"id": "j", "name": "n"}, "algorithm": {"environments": {"TOKEN": "s3cret"}},
            "status": {"phase": "Failed", "task_statuses": [{"task": "worker-0", "exit_code": 3}]}}));
        let change = Change::new(&job, Some(Phase::Running));
        let document = change.document();
        assert_eq!((&document["state"], &document["previous_state"]), (&json!("Failed"), &json!("Running")));
        assert_eq!(document["text"], "Training job n (j) is Failed: task [worker-0] exited with 3");
        assert!(!document.to_string().contains("s3cret"));
    }
}
