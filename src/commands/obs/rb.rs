//! `ma-cli obs rb`.

use serde_json::json;

use super::bucket;
use crate::ctx::Ctx;
use crate::error::Error;

/// Remove an empty bucket
///
/// A bucket with anything in it is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs rb obs://my-bucket")]
pub struct RbArgs {
    /// The bucket: obs://BUCKET
    #[arg(value_name = "BUCKET")]
    pub(super) bucket: String,
    /// Nothing is asked, so there is nothing to say yes to; people say it all the same
    #[arg(short, long, hide = true)]
    yes: bool,
}

/// Removes the bucket.
///
/// # Errors
/// The store refused, as when the bucket is not empty; the address names an object.
pub async fn run(ctx: &Ctx, args: RbArgs) -> Result<(), Error> {
    let url = bucket(&args.bucket)?;
    ctx.obs()?.delete_bucket(&url.bucket).await?;
    ctx.ui.done(&format!("removed: [{url}]"), json!({"removed": url.bucket}))
}
