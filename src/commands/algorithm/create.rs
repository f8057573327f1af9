//! `algorithm create`.

use serde_json::json;

use crate::api::modelarts::{algorithm, training_job};
use crate::commands::algorithm::definition_args::DefinitionArgs;
use crate::commands::algorithm::show::Detail;
use crate::commands::algorithm::{document, from_job};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Create an algorithm from options, a file or a job
///
/// The file is what `algorithm show -F yaml` prints; options win over it. Hyperparameters are written NAME=DEFAULT, followed by any of
/// type=String|Integer|Float|Boolean, range=LOW:HIGH, choices=A|B|C, required, fixed, sensitive, description=TEXT, separated by
/// semicolons; a list of options replaces that of the file as a whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli algorithm create --name mnist --code-dir obs://bucket/mnist/code/ --boot-file main.py \\
      --framework-type PyTorch --framework-version pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64 \\
      --hyperparameter 'lr=0.01;type=Float;range=0.001:0.1' --hyperparameter 'epochs=10;type=Integer;required' \\
      --input data_url --output train_url --flavor-type CPU --flavor-type GPU
  ma-cli algorithm create --file algorithm.yaml --name copy
  ma-cli algorithm create --from-job 494b55e1-f2b8-4932-bbb1-c9768b0000aa --name mnist")]
pub struct CreateArgs {
    /// Name, 1-64 letters, digits, - and _; it cannot be changed later
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Workspace [default: 0]
    #[arg(long, value_name = "TEXT")]
    workspace_id: Option<String>,
    /// Take the settings of this training job
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    from_job: Option<String>,
    #[command(flatten)]
    definition: DefinitionArgs,
}

/// Creates the algorithm.
///
/// # Errors
/// An option or the file is wrong, there is no such job, the service refuses.
pub async fn run(ctx: &Ctx, args: CreateArgs) -> Result<(), Error> {
    let mut document = match &args.from_job {
        Some(id) => {
            let api = ctx.modelarts()?;
            let job = training_job::show(&api, id).await;
            let job = job.map_err(|error| Error::from(error).context(&format!("training job [{id}]")))?;
            from_job::document(&job)?
        }
        None => args.definition.base(&ctx.env.directory, json!({}))?,
    };
    for (name, value) in [("name", &args.name), ("workspace_id", &args.workspace_id)] {
        if let Some(value) = value {
            document["metadata"][name] = json!(value);
        }
    }
    args.definition.apply(&ctx.env.directory, &mut document)?;
    if document["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        return Err(Error::new(Kind::Usage, "the algorithm has no name").hint("give it one with: --name NAME"));
    }
    document::check(&document)?;
    let created = algorithm::create(&ctx.modelarts()?, document).await;
    let created = created.map_err(|error| Error::from(error).context("creating the algorithm"))?;
    if ctx.ui.format() == Format::Table {
        return ctx.ui.ok(&format!("Successfully create algorithm [{}] with id [{}]", created.name(), created.id()));
    }
    let zone = ctx.ui.zone();
    ctx.ui.emit(&Detail { algorithm: created, zone })
}
