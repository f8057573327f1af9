//! `ma-job evaluate`.

use crate::commands::ma_job::evaluation;
use crate::commands::ma_job::evaluation_view::EvaluationView;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::Format;

/// Show the evaluation of the model that a job has trained
///
/// The file is looked for in the outputs of the job: JSON with eval, analys or metric in its name, the newest of them. From predictions
/// with their labels, as the model analysis of ModelArts stores them, precision and recall of each label are computed; other
/// files are shown field by field. -F json gives the file as it is, with the computed figures beside it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job evaluate 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job evaluate 494b55e1-f2b8-4932-bbb1-c9768b0000aa --file obs://bucket/output/result.json -F json")]
pub struct EvaluateArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// The evaluation file, when it is not found by its name
    #[arg(long, value_name = "URL")]
    file: Option<String>,
}

/// Shows the evaluation.
///
/// # Errors
/// There is no such job or file; it is no JSON; the store refuses.
pub async fn run(ctx: &Ctx, args: EvaluateArgs) -> Result<(), Error> {
    let id = args.job.id()?;
    let client = ctx.obs()?;
    let url = match &args.file {
        Some(file) => file.parse()?,
        None => {
            let job = named::show(&ctx.modelarts()?, id).await?;
            evaluation::find(&client, &job).await?
        }
    };
    let document = evaluation::read(&client, &url).await?;
    let view = EvaluationView::new(document);
    if ctx.ui.format() == Format::Table {
        ctx.ui.note(&format!("from {url}"));
    }
    ctx.ui.emit(&view)
}
