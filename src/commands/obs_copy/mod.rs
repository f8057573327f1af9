//! `ma-cli obs-copy`: copies files and folders between this machine and OBS.

mod existing_args;
mod mirror;
mod preview;
mod progress_args;
mod report;
mod selection_args;
mod transfer_args;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::commands::obs_copy::existing_args::ExistingArgs;
use crate::commands::obs_copy::progress_args::ProgressArgs;
use crate::commands::obs_copy::selection_args::SelectionArgs;
use crate::commands::obs_copy::transfer_args::TransferArgs;
use crate::copy::report::Recording;
use crate::copy::{self, Plan, plan::Request};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::obs;
use crate::ui::Format;

/// Copy files and folders between this machine and OBS
///
/// One of SRC and DST is an obs:// path. A folder is made again below DST under its own name; with --drop-last-dir what is in it
/// goes to DST directly. A file goes below DST under its own name if DST is a folder (ends with / or is one).
/// Files are copied in parallel, large ones in parts; what arrived is checked. Exit code 3: some files failed.
/// All that is promised, and every option with its use: ma-cli help copying
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs-copy ./test.csv obs://bucket/test-copy/
  ma-cli obs-copy ./data/ obs://bucket/test-copy/ --drop-last-dir
  ma-cli obs-copy obs://bucket/test-copy/ ~/work/test-data/
  ma-cli obs-copy ./data/ obs://bucket/data/ -d --update --include '*.jpg' --exclude 'tmp/'
  ma-cli obs-copy ./data/ obs://bucket/data/ -d --update --delete --dry-run
  ma-cli obs-copy obs://bucket/data/ ./data/ -d --shard 1/4 --report report.jsonl
  ma-cli obs-copy obs://bucket/data/ ./data/ -d --files-from report.jsonl")]
pub struct ObsCopyArgs {
    /// What to copy: a file, a folder, or an obs:// path
    #[arg(value_name = "SRC")]
    src: String,
    /// Where to: an obs:// path, or a file or folder
    #[arg(value_name = "DST")]
    dst: String,
    /// Copy what is in the folder, not the folder itself
    #[arg(short, long)]
    drop_last_dir: bool,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    existing: ExistingArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Copies and reports.
///
/// # Errors
/// What stopped the copy; [`crate::error::Kind::Partial`] when some files failed.
pub async fn run(ctx: &Ctx, args: ObsCopyArgs) -> Result<(), Error> {
    let request = Request::parse(&args.src, &args.dst, &ctx.env.directory)?;
    let client = ctx.obs()?;
    let cancel = ctx.cancel();
    let resolving = Plan::resolve(&client, &request, args.drop_last_dir);
    let plan = cancel.run_until_cancelled(resolving).await.ok_or(copy::Error::Cancelled)??;
    let mut options = copy::Options::default();
    args.transfer.apply(&mut options);
    let mut selection = copy::Selection::default();
    args.selection.apply(&mut selection, &ctx.env.directory)?;
    args.existing.apply(&mut selection, &ctx.env.directory)?;
    selection.check(&plan)?;
    options.selection = Arc::new(selection);
    if args.existing.is_dry_run() {
        return preview::run(ctx, &client, &plan, &options, &cancel).await;
    }
    let carried_out = carry_out(ctx, &client, plan, &options, &args, &cancel).await;
    if let Some(report) = &options.selection.report {
        report.finish()?;
    }
    let (summary, deleted) = carried_out?;
    let report = report::Report { source: args.src.clone(), destination: args.dst.clone(), summary, deleted };
    if ctx.ui.format() != Format::Table {
        ctx.ui.emit(&report)?;
    } else if report.summary.failed == 0 {
        for line in ok_lines(&request, &args) {
            ctx.ui.ok(&line)?;
        }
    }
    ctx.ui.note(&report.sentence());
    report.into_result(ctx)
}

/// Copies, with progress and report; then deletes, if that was asked for.
async fn carry_out(
    ctx: &Ctx,
    client: &obs::Client,
    plan: Plan,
    options: &copy::Options,
    args: &ObsCopyArgs,
    cancel: &CancellationToken,
) -> Result<(copy::Summary, u64), Error> {
    let mut events: Arc<dyn copy::EventSink> = Arc::new(ctx.ui.copy_progress(args.progress.choice()));
    if let Some(report) = &options.selection.report {
        events = Arc::new(Recording { watcher: events, report: Arc::clone(report) });
    }
    let mut summary = copy::copy(client, plan.clone(), options, events, cancel).await?;
    let deleted = match options.selection.seen {
        Some(_) => mirror::run(ctx, client, &plan, options, (&mut summary, args.existing.is_sure()), cancel).await?,
        None => 0,
    };
    Ok((summary, deleted))
}

/// The original's two lines: local paths are absolute, OBS paths as given.
fn ok_lines(request: &Request, args: &ObsCopyArgs) -> [String; 2] {
    let source = |shown: &str| match args.drop_last_dir {
        true => shown.trim_end_matches('/').to_owned(),
        false => shown.to_owned(),
    };
    match request {
        Request::Upload { source: path, .. } => {
            [format!("local src path: [{}]", source(&absolute(path))), format!("obs dst path: [{}]", args.dst)]
        }
        Request::Download { destination, .. } => {
            [format!("obs src path: [{}]", source(&args.src)), format!("local dst path: [{}]", absolute(destination))]
        }
    }
}

fn absolute(path: &std::path::Path) -> String {
    let slash = if path.as_os_str().as_encoded_bytes().ends_with(b"/") { "/" } else { "" };
    let clean: std::path::PathBuf = path.components().collect();
    let clean = clean.display().to_string();
    if clean.ends_with('/') { clean } else { format!("{clean}{slash}") }
}
