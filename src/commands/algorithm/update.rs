//! `algorithm update`.

use crate::api::modelarts::algorithm;
use crate::commands::algorithm::definition_args::DefinitionArgs;
use crate::commands::algorithm::document;
use crate::commands::algorithm::named;
use crate::commands::algorithm::show::Detail;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::Format;

/// Change an algorithm
///
/// What is not said stays; a list of options replaces the list that was there as a whole. Name and id cannot be changed. The options
/// are those of `algorithm create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli algorithm update 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001 --description 'digits, larger'
  ma-cli algorithm update 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001 --hyperparameter 'lr=0.02;type=Float'
  ma-cli algorithm update 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001 --file algorithm.yaml")]
pub struct UpdateArgs {
    /// Id of the algorithm
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    definition: DefinitionArgs,
}

/// Changes the algorithm.
///
/// # Errors
/// An option or the file is wrong, there is no such algorithm, the service refuses.
pub async fn run(ctx: &Ctx, args: UpdateArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let old = named::found(&api, &args.id, algorithm::show(&api, &args.id).await).await?;
    let mut document = args.definition.base(&ctx.env.directory, document::requested(&old.0))?;
    document["metadata"]["name"] = old.0["metadata"]["name"].clone();
    args.definition.apply(&ctx.env.directory, &mut document)?;
    document::check(&document)?;
    let changed = named::found(&api, &args.id, algorithm::change(&api, &args.id, document).await).await?;
    if ctx.ui.format() == Format::Table {
        return ctx.ui.ok(&format!("Successfully update algorithm [{}]", args.id));
    }
    let zone = ctx.ui.zone();
    ctx.ui.emit(&Detail { algorithm: changed, zone })
}
