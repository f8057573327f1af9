//! `ma-cli obs rm`.

use serde_json::json;

use super::object;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::ObsUrl;
use crate::obs::control::{DELETE_BATCH, NotDeleted};

/// Delete an object, or everything below a prefix
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs rm obs://bucket/data/old.csv
  ma-cli obs rm -r -y obs://bucket/data/")]
pub struct RmArgs {
    /// The object, or with -r the prefix
    #[arg(value_name = "URL")]
    pub(super) url: String,
    /// Delete everything below the prefix
    #[arg(short, long)]
    recursive: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// The same, as people know it from elsewhere
    #[arg(short, long, hide = true)]
    force: bool,
}

/// Deletes.
///
/// # Errors
/// There is nothing there; the store refused; [`Kind::Partial`] when some keys stay.
pub async fn run(ctx: &Ctx, args: RmArgs) -> Result<(), Error> {
    if args.recursive {
        return delete_below(ctx, &args).await;
    }
    let url = object(&args.url)?;
    let client = ctx.obs()?;
    // The store does not say whether there was anything to delete.
    client.head(&url).await?;
    client.delete(&url).await?;
    ctx.ui.done(&format!("deleted: [{url}]"), json!({"url": url.to_string(), "deleted": 1}))
}

async fn delete_below(ctx: &Ctx, args: &RmArgs) -> Result<(), Error> {
    let url = args.url.parse::<ObsUrl>()?.as_folder();
    if !(args.yes || args.force) {
        ctx.confirm(&format!("Delete everything below [{url}]?"), "-y/--yes").await?;
    }
    let client = ctx.obs()?;
    let mut listing = client.list(&url, true);
    let (mut deleted, mut left) = (0, Vec::new());
    while let Some(page) = listing.next_page().await? {
        let keys: Vec<String> = page.entries.into_iter().map(|entry| entry.key).collect();
        for batch in keys.chunks(DELETE_BATCH) {
            let refused = client.delete_many(&url.bucket, batch).await?;
            deleted += batch.len() - refused.len().min(batch.len());
            left.extend(refused);
        }
    }
    if deleted == 0 && left.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("there is nothing below [{url}]")));
    }
    for NotDeleted { key, reason } in &left {
        ctx.ui.note(&format!("left: [{key}]: {reason}"));
    }
    if !left.is_empty() {
        return Err(Error::new(Kind::Partial, format!("{} objects were deleted, {} were left", deleted, left.len())));
    }
    let document = json!({"url": url.to_string(), "deleted": deleted});
    ctx.ui.done(&format!("deleted: [{deleted}] objects below [{url}]"), document)
}
