//! `algorithm delete`.

use serde_json::json;

use crate::api::modelarts::algorithm;
use crate::commands::algorithm::named;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Delete algorithms
///
/// Asks before it does. It cannot be undone; jobs that were made from them stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli algorithm delete 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001
  ma-cli algorithm delete -y 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001 2e5451fe-913f-4d75-a5a8-2f6e0b1a0002")]
pub struct DeleteArgs {
    /// Ids of the algorithms
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
}

/// Deletes the algorithms, as far as it is possible.
///
/// # Errors
/// There is no such algorithm, the user says no; [`Kind::Partial`] when only some of several could be deleted.
pub async fn run(ctx: &Ctx, args: DeleteArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    if !args.yes {
        for id in &args.ids {
            let known = named::found(&api, id, algorithm::show(&api, id).await).await?;
            ctx.ui.warn(&format!("Algorithm [{}] with id [{id}]", known.name()));
        }
        let question = if args.ids.len() == 1 { "Delete it?".to_owned() } else { format!("Delete these {}?", args.ids.len()) };
        ctx.confirm(&question, "-y/--yes").await?;
    }
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for id in &args.ids {
        match named::found(&api, id, algorithm::delete(&api, id).await).await {
            Ok(()) => {
                ctx.ui.ok(&format!("Successfully delete algorithm [{id}]"))?;
                deleted.push(id);
            }
            Err(error) => failed.push(error),
        }
    }
    let count = failed.len();
    if count < args.ids.len() {
        ctx.ui.done_all(json!({"deleted": deleted}))?;
    }
    match failed.pop() {
        None => Ok(()),
        Some(error) if count == args.ids.len() => Err(error),
        Some(error) => {
            let message = format!("{count} of {} algorithms could not be deleted", args.ids.len());
            Err(Error::new(Kind::Partial, message).caused_by(error))
        }
    }
}
