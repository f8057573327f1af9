//! `ma-job submit`.

use std::path::PathBuf;

use crate::commands::ma_job::autosearch_args::AutosearchArgs;
use crate::commands::ma_job::job_file;
use crate::commands::ma_job::job_table::JobDetail;
use crate::commands::ma_job::launch::Launch;
use crate::commands::ma_job::spec::Spec;
use crate::commands::ma_job::submit_options::JobOptions;
use crate::commands::ma_job::watch_options::WatchArgs;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::Format;

/// Submit a training job and wait for its end
///
/// A job file's keys are the names of these options; in its values ${VAR} and ${VAR:-default} are environment variables (not in
/// user-command, which the job's shell reads). Later files win over earlier ones, options over files. Exit codes: 0 the job
/// completed, 10 it failed, 11 it was stopped. Ctrl-C ends the waiting, not the job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job submit .ma/train.yaml
  ma-cli ma-job submit .ma/train.yaml --name again --parameters \"epoch 20 pretrained\" -q
  ma-cli ma-job submit .ma/train.yaml --code-dir ./src --obs-path obs://bucket/jobs/
  ma-cli ma-job submit .ma/train.yaml --auto-restart 3 --predownload train_url --auto-stop 12h --tag team=vision
  ma-cli ma-job submit .ma/train.yaml --dry-run
  ma-cli ma-job submit --code-dir obs://bucket/mnist/code/ --boot-file main.py \\
      --framework-type PyTorch --framework-version pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64 \\
      --data-url obs://bucket/mnist/data/ --output train_url=obs://bucket/mnist/model/ \\
      --log-url obs://bucket/mnist/logs/ --train-instance-type modelarts.vm.cpu.8u")]
pub struct SubmitArgs {
    /// Job files
    #[arg(value_name = "YAML_FILE")]
    yaml_file: Vec<PathBuf>,
    #[command(flatten)]
    job: JobOptions,
    #[command(flatten)]
    search: AutosearchArgs,
    /// Return once the job is accepted
    #[arg(short, long)]
    quiet: bool,
    /// Print the request, submit nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    watching: WatchArgs,
}

/// Submits the job and, unless told to be quiet, prints its phases until it has ended.
///
/// # Errors
/// A job file or option is wrong, the service refuses, the job did not complete, the user interrupts.
pub async fn run(ctx: &Ctx, args: SubmitArgs) -> Result<(), Error> {
    let lookup = |name: &str| ctx.env.get(name).map(str::to_owned);
    let mut spec = Spec::default();
    for file in &args.yaml_file {
        spec = spec.merge(job_file::read(&ctx.env.directory.join(file), &lookup)?);
    }
    let mut spec = spec.merge(args.job.spec()?);
    spec.policies = args.search.policies(&ctx.env.directory)?;
    let is_quiet = args.quiet || spec.is_set("quiet");
    let launch = Launch::new(ctx, spec)?;
    if args.dry_run {
        return launch.show(ctx).await;
    }
    attend(ctx, launch, is_quiet, &args.watching).await
}

/// Creates the job and waits for its end, unless it shall be quiet.
///
/// # Errors
/// As [`run`].
pub(super) async fn attend(ctx: &Ctx, launch: Launch, is_quiet: bool, watching: &WatchArgs) -> Result<(), Error> {
    let hooks = watching.hooks(is_quiet)?;
    let api = ctx.modelarts()?;
    // From here on Ctrl-C ends the waiting in good order: whoever submitted a job is told its id.
    let cancel = ctx.cancel();
    let mut job = launch.create(ctx, &api, &cancel).await?;
    let id = job.id();
    ctx.ui.ok(&format!("Current training job id is: {id}"))?;
    if !is_quiet {
        job = watching.watch(ctx, &api, job, hooks).await?;
    }
    if ctx.ui.format() != Format::Table {
        let zone = ctx.ui.zone();
        ctx.ui.emit(&JobDetail { job: job.clone(), verbose: false, zone })?;
    }
    watching.conclude(ctx, &api, &job).await?;
    ctx.ui.ok(&format!("Successfully submit training job [{id}]"))
}
