//! `ma-cli obs-copy`: copies files and folders between this machine and OBS.

mod report;

use std::sync::Arc;

use crate::copy::{self, Plan, Verify, plan::Request};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::Format;

/// Copy files and folders between this machine and OBS
///
/// One of SRC and DST is an obs:// path. A folder is made again below DST under its own name; with --drop-last-dir what is in it
/// goes to DST directly. A file goes below DST under its own name if DST is a folder (ends with / or is one).
/// Files are copied in parallel, large ones in parts; what arrived is checked. Exit code 3: some files failed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs-copy ./test.csv obs://bucket/test-copy/
  ma-cli obs-copy ./data/ obs://bucket/test-copy/ --drop-last-dir
  ma-cli obs-copy obs://bucket/test-copy/ ~/work/test-data/")]
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
    /// How to check that the bytes arrived; auto is the strongest that the store allows
    #[arg(long, default_value = "auto", value_name = "CHECK",
          value_parser = clap::builder::PossibleValuesParser::new(["auto", "md5", "crc", "size", "none"]))]
    verify: String,
    /// Requests in flight at most
    #[arg(long, default_value_t = copy::budget::SLOTS as u64, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    jobs: u64,
    /// Size of the parts of large files, such as 64M [default: chosen by file size]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    part_size: Option<u64>,
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
    let options = copy::Options {
        jobs: usize::try_from(args.jobs).unwrap_or(copy::budget::SLOTS),
        part_size: args.part_size,
        verify: verify(&args.verify),
        ..copy::Options::default()
    };
    let progress = Arc::new(ctx.ui.copy_progress());
    let copied = copy::copy(&client, plan, &options, Arc::clone(&progress) as Arc<dyn copy::EventSink>, &cancel).await;
    drop(progress);
    let report = report::Report { source: args.src.clone(), destination: args.dst.clone(), summary: copied? };
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

fn verify(word: &str) -> Verify {
    match word {
        "md5" => Verify::Md5,
        "crc" => Verify::Crc,
        "size" => Verify::Size,
        "none" => Verify::None,
        _ => Verify::Auto,
    }
}

/// Reads `64M`, `1G`, `5242880`: powers of 1024.
fn parse_size(word: &str) -> Result<u64, String> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match word[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err("a size is a number with K, M or G behind it".to_owned()),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    size.filter(|size| *size >= copy::parts::SMALLEST_PART).ok_or_else(|| "a part has at least 100K".to_owned())
}
