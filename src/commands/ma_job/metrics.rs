//! `ma-job metrics`.

use crate::api::Api;
use crate::api::modelarts::training_job;
use crate::api::modelarts::training_metrics::{self, Metrics};
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::log::FIRST_TASK;
use crate::commands::ma_job::metrics_view::MetricsView;
use crate::commands::ma_job::named;
use crate::commands::ma_job::rhythm::Rhythm;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Show how much of its node a task uses
///
/// Processors, memory and cards over time, one average a minute. A chart in the terminal; -F json, jsonl, yaml and csv give the
/// figures.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job metrics 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job metrics 494b55e1-f2b8-4932-bbb1-c9768b0000aa --task worker-1 --watch
  ma-cli ma-job metrics 494b55e1-f2b8-4932-bbb1-c9768b0000aa -F csv")]
pub struct MetricsArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// Task, worker-0 for the first node
    #[arg(short, long, value_name = "TEXT", default_value = FIRST_TASK)]
    task: String,
    /// Show them anew when there is more, until the job has ended
    #[arg(short, long)]
    watch: bool,
}

/// Shows the metrics.
///
/// # Errors
/// There is no such job or task; the service refuses; the user interrupts.
pub async fn run(ctx: &Ctx, args: MetricsArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    if args.watch {
        return watch(ctx, &api, id, &args.task).await;
    }
    show(ctx, named::found_task(&api, id, &args.task, ask(&api, id, &args.task).await).await?)
}

async fn ask(api: &Api, id: &str, task: &str) -> Result<Metrics, Error> {
    let metrics = training_metrics::show(api, id, task).await;
    metrics.map_err(|error| Error::from(error).context(&format!("training job [{id}], task [{task}]")))
}

fn show(ctx: &Ctx, metrics: Metrics) -> Result<(), Error> {
    let view = MetricsView { metrics };
    if ctx.ui.format() != Format::Table {
        return ctx.ui.emit(&view);
    }
    if view.metrics.series.is_empty() {
        ctx.ui.note("there are no metrics yet");
        return Ok(());
    }
    ctx.ui.remote_text(&view.charts(usize::from(ctx.ui.width()), ctx.ink()))
}

async fn watch(ctx: &Ctx, api: &Api, id: &str, task: &str) -> Result<(), Error> {
    let cancel = ctx.cancel();
    let mut rhythm = Rhythm::new();
    let mut shown = None;
    loop {
        let job = rhythm.look(api, id).await?;
        let has_started = job.as_ref().is_some_and(|job| job.start_time().is_some());
        match ask(api, id, task).await {
            Ok(metrics) if shown.as_ref() != Some(&metrics.series) => {
                shown = Some(metrics.series.clone());
                if ctx.ui.format() == Format::Table && ctx.ui.is_on_terminal() {
                    ctx.ui.write(CLEAR)?;
                }
                show(ctx, metrics)?;
            }
            Ok(_) => {}
            Err(error) if error.kind == Kind::NotFound && !has_started => {}
            Err(error) => rhythm.endure(error)?,
        }
        if job.is_some_and(|job: training_job::TrainingJob| job.phase().is_final()) {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(rhythm.next_wait()) => {}
            () = cancel.cancelled() => return Err(Error::new(Kind::Interrupted, "no longer watching")),
        }
    }
}

/// Clears the screen and goes to its beginning.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";
