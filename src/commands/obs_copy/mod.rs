//! `ma-cli obs-copy`: copies files and folders between this machine and OBS.

mod attribute_args;
mod carry_out;
mod existing_args;
mod lines;
mod mirror;
mod pipe;
mod preview;
mod progress_args;
mod report;
mod resume_args;
mod selection_args;
mod transfer_args;
mod unfinished;
mod watch;

use std::sync::Arc;

use crate::commands::obs_copy::attribute_args::AttributeArgs;
use crate::commands::obs_copy::progress_args::ProgressArgs;
use crate::commands::obs_copy::resume_args::ResumeArgs;
use crate::commands::obs_copy::transfer_args::TransferArgs;

use crate::commands::obs_copy::existing_args::ExistingArgs;
use crate::commands::obs_copy::selection_args::SelectionArgs;
use crate::copy::{self, Plan, plan::Request};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::Format;

/// Copy files and folders between this machine and OBS
///
/// One of SRC and DST is an obs:// path, or both are: then the store copies, and no byte comes here. A folder is made again
/// below DST under its own name; with --drop-last-dir what is in it goes to DST directly. A file goes below DST under its own
/// name if DST is a folder (ends with / or is one). A single - as SRC or DST is standard input or output.
/// Files are copied in parallel, large ones in parts; what arrived is checked. Exit code 3: some files failed.
/// All that is promised, and every option with its use: ma-cli help copying
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs-copy ./test.csv obs://bucket/test-copy/
  ma-cli obs-copy ./data/ obs://bucket/test-copy/ --drop-last-dir
  ma-cli obs-copy obs://bucket/test-copy/ ~/work/test-data/
  tar cz data | ma-cli obs-copy - obs://bucket/data.tar.gz
  ma-cli obs-copy obs://bucket/run-7/ obs://archive/runs/ --storage-class COLD
  ma-cli obs-copy ./site/ obs://bucket/ --metadata team=vision --cache-control max-age=3600
  ma-cli obs-copy --list-unfinished
  ma-cli obs-copy --discard-unfinished 0b6f2f9d3c1e4a57
  ma-cli obs-copy ./data/ obs://bucket/data/ -d --update --include '*.jpg' --exclude 'tmp/'
  ma-cli obs-copy ./data/ obs://bucket/data/ -d --update --delete --dry-run
  ma-cli obs-copy ./data/ obs://bucket/data/ -d --update --preserve mtime,mode
  ma-cli obs-copy obs://bucket/data/ ./data/ -d --shard 1/4 --report report.jsonl
  ma-cli obs-copy obs://bucket/data/ ./data/ -d --files-from report.jsonl")]
pub struct ObsCopyArgs {
    /// What to copy: a file, a folder, or an obs:// path
    #[arg(value_name = "SRC", required_unless_present_any = ["list_unfinished", "discard_unfinished"])]
    src: Option<String>,
    /// Where to: an obs:// path, or a file or folder
    #[arg(value_name = "DST", required_unless_present_any = ["list_unfinished", "discard_unfinished"])]
    dst: Option<String>,
    /// Copy what is in the folder, not the folder itself
    #[arg(short, long)]
    drop_last_dir: bool,
    /// Copy folders with what is in them, which is always done
    #[arg(short = 'r', long = "recursive", hide = true)]
    _recursive: bool,
    /// Do not ask before what cannot be undone
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    transfer: TransferArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    existing: ExistingArgs,
    #[command(flatten)]
    progress: ProgressArgs,
    #[command(flatten)]
    attributes: AttributeArgs,
    #[command(flatten)]
    resume: ResumeArgs,
}

/// Copies and reports.
///
/// # Errors
/// What stopped the copy; [`crate::error::Kind::Partial`] when some files failed.
pub async fn run(ctx: &Ctx, args: ObsCopyArgs) -> Result<(), Error> {
    if let Some(instead) = args.resume.instead() {
        return unfinished::run(ctx, instead, args.src.as_deref(), args.yes).await;
    }
    let (src, dst) = (args.src.clone().unwrap_or_default(), args.dst.clone().unwrap_or_default());
    if pipe::is_pipe(&src, &dst) {
        return pipe::run(ctx, &args, src, dst).await;
    }
    let request = Request::parse(&src, &dst, &ctx.env.directory)?;
    let client = ctx.obs_with_stall(args.transfer.stall())?.with_attributes(args.attributes.read()?)?;
    let cancel = ctx.cancel();
    let resolving = Plan::resolve(&client, &request, args.drop_last_dir);
    let plan = cancel.run_until_cancelled(resolving).await.ok_or(copy::Error::Cancelled)??;
    let mut options = copy::Options::default();
    args.transfer.apply(&mut options);
    args.resume.apply(ctx, &mut options);
    let mut selection = copy::Selection::default();
    args.selection.apply(&mut selection, &ctx.env.directory)?;
    args.existing.apply(&mut selection);
    if options.preserve.modified {
        selection.existing = selection.existing.by_own_time();
    }
    selection.check(&plan)?;
    args.existing.begin_report(&mut selection, &plan, &ctx.env.directory)?;
    options.selection = Arc::new(selection);
    if args.existing.is_dry_run() {
        return preview::run(ctx, &client, &plan, &options, &cancel).await;
    }
    let carried_out = carry_out::carry_out(ctx, &client, plan, &options, &args, &cancel).await;
    if let Some(report) = &options.selection.report {
        report.finish()?;
    }
    let (summary, deleted, way_on) = carried_out?;
    let report = report::Report { source: src, destination: dst, summary, deleted };
    if ctx.ui.format() != Format::Table {
        ctx.ui.emit(&report)?;
    } else if report.summary.is_complete() {
        for line in lines::ok_lines(&request, &report, args.drop_last_dir) {
            ctx.ui.ok(&line)?;
        }
    }
    ctx.ui.note(&report.sentence());
    if let Some(way_on) = way_on {
        ctx.ui.note(&way_on);
    }
    report.into_result(ctx)
}
