//! `ma-job get-job`.

use clap::value_parser;

use crate::api::Api;
use crate::api::modelarts::training_search::{self, LARGEST_PAGE, SearchRequest};
use crate::commands::ma_job::failure;
use crate::commands::ma_job::job_filter::JobFilter;
use crate::commands::ma_job::job_order::{self, SortParser};
use crate::commands::ma_job::job_table::{JobDetail, JobList};
use crate::commands::ma_job::job_watch;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::Error;

/// List training jobs, or show one
///
/// Without options: the newest jobs, ten a page. With --watch it goes on until Ctrl-C, or until the one job has ended: on a
/// terminal the table is drawn anew, elsewhere each job is a line of JSON when it is first seen and when its state changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-job
  ma-cli ma-job get-job -pn 2 -ps 5
  ma-cli ma-job get-job -n auto
  ma-cli ma-job get-job --state Failed,Abnormal --since 7d --all
  ma-cli ma-job get-job --tag team=vision --sort duration
  ma-cli ma-job get-job --all --sort status,-create_time
  ma-cli ma-job get-job --state Running --watch
  ma-cli ma-job get-job 494b55e1-f2b8-4932-bbb1-c9768b0000aa -v
  ma-cli ma-job get-job --query \"[?status.phase=='Failed'].metadata.id\"")]
pub struct GetJobArgs {
    /// Show the job with this id
    #[arg(value_name = "ID", conflicts_with = "job_id")]
    id: Option<String>,
    /// Show the job with this id
    #[arg(short = 'i', long, value_name = "TEXT")]
    job_id: Option<String>,
    /// List jobs whose name contains this; with -v the only match is shown with all details
    #[arg(short = 'n', long, value_name = "TEXT")]
    job_name: Option<String>,
    #[command(flatten)]
    filter: JobFilter,
    /// Sort all jobs by one of these, largest first; other columns, as in status,-name, sort those that are listed
    #[arg(long, value_name = "FIELD", value_parser = SortParser)]
    sort: Option<String>,
    /// Smallest first
    #[arg(long)]
    ascending: bool,
    /// Page to list
    #[arg(long, alias = "pn", value_name = "INTEGER", default_value_t = 1, value_parser = value_parser!(u64).range(1..))]
    page_num: u64,
    /// Jobs a page, 1 to 50
    #[arg(long, alias = "ps", value_name = "INTEGER", default_value_t = 10,
          value_parser = value_parser!(u32).range(1..=i64::from(LARGEST_PAGE)))]
    page_size: u32,
    /// List all pages
    #[arg(long, conflicts_with_all = ["page_num", "page_size"])]
    all: bool,
    /// Go on showing what changes
    #[arg(short, long)]
    watch: bool,
    /// Show more
    #[arg(short, long)]
    verbose: bool,
}

/// Shows the job, or a page of jobs.
///
/// # Errors
/// There is no such job; the service refuses; the user interrupts the watching.
pub async fn run(ctx: &Ctx, args: GetJobArgs) -> Result<(), Error> {
    let request = SearchRequest {
        page: args.page_num - 1,
        limit: args.page_size,
        sort_by: job_order::served(args.sort.as_deref(), args.ascending)?,
        is_ascending: args.ascending,
        ..args.filter.request(args.job_name.as_ref())?
    };
    let api = ctx.modelarts()?;
    let id = args.id.as_ref().or(args.job_id.as_ref());
    if args.watch {
        return match id {
            Some(id) => job_watch::one(ctx, &api, id, args.verbose).await,
            None => job_watch::many(ctx, &api, &request, args.all, args.verbose).await,
        };
    }
    if let Some(id) = id {
        return show(ctx, &api, id, args.verbose).await;
    }
    let jobs = match args.all {
        true => training_search::search_all(&api, &request).await?,
        false => training_search::search(&api, &request).await?.jobs,
    };
    match jobs.as_slice() {
        [only] if args.verbose && request.name.is_some() => show(ctx, &api, &only.id(), true).await,
        _ => {
            let is_sorted = request.sort_by.is_some();
            ctx.ui.emit(&JobList { jobs, verbose: args.verbose, is_sorted, zone: ctx.ui.zone() })
        }
    }
}

async fn show(ctx: &Ctx, api: &Api, id: &str, verbose: bool) -> Result<(), Error> {
    let job = named::show(api, id).await?;
    ctx.ui.emit(&JobDetail { job: job.clone(), verbose, zone: ctx.ui.zone() })?;
    failure::explain(ctx, api, &job).await;
    Ok(())
}
