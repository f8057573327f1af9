//! `ma-job get-log`.

use std::path::PathBuf;

use regex::Regex;
use serde_json::json;
use time::OffsetDateTime;

use crate::api::Api;
use crate::api::modelarts::training_log;
use crate::commands::ma_job::failure;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::log::{self, FIRST_TASK, Logs, Tasks};
use crate::commands::ma_job::log_lines::Choice;
use crate::commands::ma_job::log_table::LogTable;
use crate::commands::ma_job::moment;
use crate::commands::ma_job::named;
use crate::commands::ma_job::watch::Watch;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Print the log of a task
///
/// What the job's processes wrote to standard output and standard error, with the lines of the platform itself. With --follow the
/// exit code tells how the job ended: 0 it completed, 10 it failed, 11 it was stopped. Ctrl-C ends the following, not the job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -t worker-1
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -f
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa --all-tasks --no-system --grep 'loss|error'
  ma-cli ma-job get-log -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -f --all-tasks -F jsonl")]
pub struct GetLogArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// Task, worker-0 for the first node
    #[arg(short = 't', long, value_name = "TEXT", default_value = FIRST_TASK)]
    task_id: String,
    /// Go on printing until the job has ended
    #[arg(short, long)]
    follow: bool,
    /// The logs of all tasks, each line with its task before it
    #[arg(long)]
    all_tasks: bool,
    /// Only what was written since then: 15m (ago), or a time; by the times that the lines bear, which count as UTC without an offset
    #[arg(long, value_name = "TIME", value_parser = moment::since)]
    since: Option<OffsetDateTime>,
    /// Only the last lines
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Only lines that this regular expression is found in
    #[arg(long, value_name = "RE", value_parser = Regex::new)]
    grep: Option<Regex>,
    /// Without the lines of the platform itself
    #[arg(long)]
    no_system: bool,
    /// Write the whole log into a file of this folder instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["follow", "since", "tail", "grep", "no_system"])]
    download: Option<PathBuf>,
}

/// Prints the log.
///
/// # Errors
/// There is no such job or task; the service refuses; the job that was followed did not complete; the user interrupts.
pub async fn run(ctx: &Ctx, args: GetLogArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    let tasks = if args.all_tasks { Tasks::All } else { Tasks::One(args.task_id.clone()) };
    let is_text = matches!(ctx.ui.format(), Format::Table | Format::Jsonl);
    if let Some(folder) = &args.download {
        let tasks = match tasks {
            Tasks::One(task) => vec![task],
            Tasks::All => named::show(&api, id).await?.tasks(),
        };
        let paths = log::save(&api, id, &tasks, &ctx.env.directory.join(folder)).await?;
        for path in &paths {
            ctx.ui.ok(&format!("Successfully download [{}]", path.display()))?;
        }
        let files: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return ctx.ui.done_all(json!({"files": files}));
    }
    let is_chosen = args.all_tasks || args.no_system || args.grep.is_some() || args.since.is_some() || args.tail.is_some();
    if !is_text && is_chosen {
        let message = "this format gives the newest part of one task's log as the service sends it; \
                       --all-tasks, --since, --tail, --grep and --no-system choose among lines";
        return Err(Error::new(Kind::Usage, message).hint("lines as JSON documents: -F jsonl"));
    }
    let choice = Choice { grep: args.grep, no_system: args.no_system, since: args.since, tail: args.tail };
    let mut logs = is_text.then(|| Logs::new(ctx, &api, id, tasks, choice));
    if args.follow {
        // From here on Ctrl-C ends the following in good order.
        ctx.cancel();
        let job = named::show(&api, id).await?;
        let mut watch = Watch::new(ctx, &api, id);
        (watch.logs, watch.tells_reasons) = (logs, true);
        let job = watch.run(job).await?;
        if !is_text {
            emit(ctx, &api, id, &args.task_id).await?;
        }
        return failure::conclude(ctx, &api, &job, is_text).await;
    }
    match &mut logs {
        Some(logs) => logs.print_once(&named::show(&api, id).await?).await,
        None => emit(ctx, &api, id, &args.task_id).await,
    }
}

/// The newest part of the log as the service sent it.
async fn emit(ctx: &Ctx, api: &Api, id: &str, task: &str) -> Result<(), Error> {
    let preview = training_log::preview(api, id, task).await;
    let preview = preview.map_err(|error| Error::from(error).context(&format!("training job [{id}], task [{task}]")));
    ctx.ui.emit(&LogTable(named::found_task(api, id, task, preview).await?))
}
