//! `ma-cli configure`: stores credentials and region in a profile, and looks after profiles.

pub mod delete;
pub mod export;
pub mod list;
mod questions;
mod shell;
pub mod show;
pub mod test;
#[path = "use.rs"]
pub mod use_profile;
mod values;
mod writing;

use std::path::PathBuf;

pub use writing::{Draft, write};

use crate::auth::secret::Secret;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::settings::vault::Store;

/// Configure authentication and endpoints for this tool
///
/// What the chosen mode needs and is not given is asked for. Without a terminal the answers are read line by line from
/// standard input.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure --auth PWD --region cn-north-4
  ma-cli configure --auth AKSK -r cn-north-4 -P work
  printf '%s\\n' \"$AK\" \"$SK\" | ma-cli configure -auth AKSK -r cn-north-4
  ma-cli configure -P work --store keyring
  ma-cli configure show")]
pub struct ConfigureArgs {
    /// The profile to write.
    #[command(flatten)]
    profile: ProfileArgs,
    /// What to do with profiles instead of writing one.
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What is written into a profile.
#[derive(Debug, clap::Args)]
pub struct ProfileArgs {
    /// Kind of credentials; ROMA is not supported
    #[arg(long, alias = "auth", default_value = "PWD", value_parser = clap::builder::PossibleValuesParser::new(["PWD", "AKSK", "ROMA"]))]
    auth: Option<String>,
    /// File of regions and their endpoints
    #[arg(long, alias = "rp", value_name = "PATH")]
    region_profile: Option<PathBuf>,
    /// Account that the IAM user belongs to (PWD); Enter skips it when the account itself logs in
    #[arg(short, long, value_name = "TEXT")]
    account: Option<String>,
    /// Account name or IAM user name (PWD)
    #[arg(short, long, value_name = "TEXT")]
    username: Option<String>,
    /// Password (PWD); can be seen in the process list when given here
    #[arg(short, long, value_name = "TEXT")]
    password: Option<Secret>,
    /// Access key (AKSK)
    #[arg(long, alias = "ak", value_name = "TEXT")]
    access_key: Option<String>,
    /// Secret key (AKSK); can be seen in the process list when given here
    #[arg(long, alias = "sk", value_name = "TEXT")]
    secret_key: Option<Secret>,
    /// Security token of a temporary access key (AKSK); can be seen in the process list when given here
    #[arg(long, value_name = "TEXT")]
    security_token: Option<Secret>,
    /// Region [default: REGION_NAME]
    #[arg(short, long, value_name = "TEXT")]
    region: Option<String>,
    /// Project id [default: PROJECT_ID, else the region's project]
    #[arg(long, alias = "pi", value_name = "TEXT")]
    project_id: Option<String>,
    /// Where to keep the secret; alone, it moves the one that is stored [default: where it is, else file]
    #[arg(long, value_name = "PLACE", value_parser = clap::builder::PossibleValuesParser::new(Store::NAMES))]
    store: Option<String>,
    /// Make the profile file private, and do nothing else
    #[arg(long)]
    fix: bool,
}

/// What looks after profiles. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Use(use_profile::UseArgs),
    Delete(delete::DeleteArgs),
    Export(export::ExportArgs),
    Test(test::TestArgs),
}

/// Runs the verb, or writes a profile.
///
/// # Errors
/// Those of the verb; an answer that is needed and cannot be had; a profile file that cannot be edited.
pub async fn run(ctx: &Ctx, args: ConfigureArgs) -> Result<(), Error> {
    match args.verb {
        None => write(ctx, &args.profile),
        Some(Verb::List(args)) => list::run(ctx, &args),
        Some(Verb::Show(args)) => show::run(ctx, &args).await,
        Some(Verb::Use(args)) => use_profile::run(ctx, &args),
        Some(Verb::Delete(args)) => delete::run(ctx, &args),
        Some(Verb::Export(args)) => export::run(ctx, &args).await,
        Some(Verb::Test(args)) => test::run(ctx, &args).await,
    }
}
