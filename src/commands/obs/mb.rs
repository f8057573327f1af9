//! `ma-cli obs mb`.

use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::ObsUrl;

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
    let text =
        if ObsUrl::looks_like(&args.bucket) { args.bucket.clone() } else { format!("{}{}", ObsUrl::SCHEME, args.bucket) };
    let url: ObsUrl = text.parse()?;
    if !url.key.is_empty() {
        return Err(Error::new(Kind::Usage, format!("[{text}] names an object, not a bucket")));
    }
    ctx.obs()?.create_bucket(&url.bucket).await?;
    ctx.ui.ok(&format!("bucket: [{url}]"))
}
