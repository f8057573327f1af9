//! What is run or told when a job changes its state: a command, a web address.

use std::process::Stdio;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use url::Url;

use crate::api::modelarts::training_job::{Phase, TrainingJob};
use crate::api::webhook;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Options that say what is to happen when a job changes its state.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct HookArgs {
    /// Run this command on each change of state, without a shell: MA_CLI_JOB_ID, MA_CLI_JOB_NAME, MA_CLI_JOB_STATE,
    /// MA_CLI_JOB_PREVIOUS_STATE and MA_CLI_JOB_REASON in its environment, the same as JSON on its standard input
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
    let failed = |error: std::io::Error| Error::new(Kind::Local, format!("[{program}] cannot be run: {error}"));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&ctx.env.directory);
    command.env_clear().envs(ctx.child_environment()).envs(change.environment());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let document = format!("{}\n", change.document());
    let stdin = child.stdin.take();
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input closes it early.
            let _ = stdin.write_all(document.as_bytes()).await;
        }
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.map_err(failed)?;
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        if !text.trim_end().is_empty() {
            ctx.ui.note(text.trim_end());
        }
    }
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(Kind::Local, format!("[{program}] ended with {}", output.status)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Change, HookArgs, Hooks};
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
