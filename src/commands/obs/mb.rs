//! `ma-cli obs mb`.

use serde_json::json;

use super::bucket;
use crate::ctx::Ctx;
use crate::error::Error;

/// Make a bucket
///
/// One that exists and is yours is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs mb obs://my-bucket")]
pub struct MbArgs {
    /// The bucket: obs://BUCKET
    #[arg(value_name = "BUCKET")]
    bucket: String,
}

/// Makes the bucket.
///
/// # Errors
/// The store refused; the address names an object.
pub async fn run(ctx: &Ctx, args: MbArgs) -> Result<(), Error> {
    let url = bucket(&args.bucket)?;
    ctx.obs()?.create_bucket(&url.bucket).await?;
    ctx.ui.done(&format!("bucket: [{url}]"), json!({"bucket": url.bucket}))
}
