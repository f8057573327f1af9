//! `ma-job get-job`.

use clap::value_parser;
use time::UtcOffset;

use crate::api::modelarts::training_job::{self, SearchRequest};
use crate::commands::ma_job::failure;
use crate::commands::ma_job::job_table::{JobDetail, JobList};
use crate::ctx::Ctx;
use crate::error::Error;

/// List training jobs, or show one
///
/// Without options: the newest jobs, ten a page.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-job
  ma-cli ma-job get-job -pn 2 -ps 5
  ma-cli ma-job get-job -n auto
  ma-cli ma-job get-job -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -v
  ma-cli ma-job get-job --query \"[?status.phase=='Failed'].metadata.id\"")]
pub struct GetJobArgs {
    /// Show the job with this id
    #[arg(short = 'i', long, value_name = "TEXT")]
    job_id: Option<String>,
    /// List jobs whose name contains this; with -v the only match is shown with all details
    #[arg(short = 'n', long, value_name = "TEXT")]
    job_name: Option<String>,
    /// Page to list
    #[arg(long, alias = "pn", value_name = "INTEGER", default_value_t = 1, value_parser = value_parser!(u64).range(1..))]
    page_num: u64,
    /// Jobs a page, 1 to 50
    #[arg(long, alias = "ps", value_name = "INTEGER", default_value_t = 10,
          value_parser = value_parser!(u32).range(1..=i64::from(training_job::LARGEST_PAGE)))]
    page_size: u32,
    /// Show more
    #[arg(short, long)]
    verbose: bool,
}

/// Shows the job, or a page of jobs.
///
/// # Errors
/// There is no such job; the service refuses.
pub async fn run(ctx: &Ctx, args: GetJobArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let offset = ctx.env.local_offset.unwrap_or(UtcOffset::UTC);
    let verbose = args.verbose;
    let show = async |id: &str| {
        let job =
            training_job::show(&api, id).await.map_err(|error| Error::from(error).context(&format!("training job [{id}]")))?;
        ctx.ui.emit(&JobDetail { job: job.clone(), verbose, offset })?;
        failure::explain(ctx, &api, &job).await;
        Ok(())
    };
    if let Some(id) = &args.job_id {
        return show(id).await;
    }
    let request = SearchRequest { page: args.page_num - 1, limit: args.page_size, name: args.job_name };
    let page = training_job::search(&api, &request).await?;
    match page.jobs.as_slice() {
        [only] if verbose && request.name.is_some() => show(&only.id()).await,
        _ => ctx.ui.emit(&JobList { jobs: page.jobs, verbose, offset }),
    }
}
