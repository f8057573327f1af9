//! `ma-job validate`.

use std::path::PathBuf;

use crate::commands::ma_job::findings::Findings;
use crate::commands::ma_job::inquiry;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Check job files without submitting anything
///
/// All problems at once: keys and values, then what the service knows (engines, flavors, pools, algorithms) and what the buckets
/// hold (code, boot file, data). Several files are one job, as for submit. Exit code 1: something would keep the job from running.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job validate .ma/train.yaml
  ma-cli ma-job validate base.yaml large.yaml -F json
  ma-cli ma-job validate .ma/train.yaml --offline")]
pub struct ValidateArgs {
    /// Job files
    #[arg(value_name = "YAML_FILE", required = true)]
    files: Vec<PathBuf>,
    /// Ask neither the service nor the store
    #[arg(long)]
    offline: bool,
}

/// Prints what is wrong.
///
/// # Errors
/// Something is; a file cannot be read; the service cannot be asked.
pub async fn run(ctx: &Ctx, args: ValidateArgs) -> Result<(), Error> {
    let mut findings = Findings::default();
    let (request, uploads) = findings.read(ctx, &args.files)?;
    let mut unanswered = None;
    if let Some(request) = request.filter(|_| !args.offline) {
        unanswered = inquiry::inquire(ctx, &request, &uploads, &mut findings).await;
    }
    let names: Vec<_> = args.files.iter().map(|file| file.display().to_string()).collect();
    let names = names.join(", ");
    if !findings.is_empty() || ctx.ui.format() != crate::ui::Format::Table {
        ctx.ui.emit(&findings)?;
    }
    if let Some(error) = unanswered.filter(|_| findings.errors() == 0) {
        return Err(error.context("not everything could be checked"));
    }
    match findings.errors() {
        0 => ctx.ui.ok(&format!("[{names}] can be submitted")),
        1 => Err(Error::new(Kind::Config, format!("there is 1 problem in [{names}]"))),
        count => Err(Error::new(Kind::Config, format!("there are {count} problems in [{names}]"))),
    }
}
