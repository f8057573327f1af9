//! `ma-cli configure`: stores credentials and region in a profile. Makes no network call.

mod questions;

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::auth::secret::Secret;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::profile::{self, ProfileFile};
use crate::settings::{DEFAULT_PROFILE, LOCAL_PROFILE, region};

/// Configure authentication and endpoints for this tool
///
/// What the chosen mode needs and is not given is asked for. Without a terminal the answers are read line by line from
/// standard input.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure --auth PWD --region cn-north-4
  ma-cli configure --auth AKSK -r cn-north-4 -P work
  printf '%s\\n' \"$AK\" \"$SK\" | ma-cli configure -auth AKSK -r cn-north-4")]
pub struct ConfigureArgs {
    /// Kind of credentials; ROMA is not supported
    #[arg(long, alias = "auth", default_value = "PWD", value_parser = clap::builder::PossibleValuesParser::new(["PWD", "AKSK", "ROMA"]))]
    auth: String,
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
    /// Region [default: REGION_NAME]
    #[arg(short, long, value_name = "TEXT")]
    region: Option<String>,
    /// Project id [default: PROJECT_ID, else the region's project]
    #[arg(long, alias = "pi", value_name = "TEXT")]
    project_id: Option<String>,
}

/// Asks for what is missing and writes the profile.
///
/// # Errors
/// An answer that is needed and cannot be had; a profile file that cannot be edited.
pub fn run(ctx: &Ctx, args: ConfigureArgs) -> Result<(), Error> {
    let name = ctx.flags().profile.clone().or_else(|| ctx.env.get("MA_CLI_PROFILE").map(str::to_owned));
    let name = name.unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
    if name == LOCAL_PROFILE && ctx.flags().config_file.is_none() {
        return Err(Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform, which writes it itself")
            .hint("choose another name with -P"));
    }
    let path = match (&ctx.flags().config_file, ctx.env.get("MA_CLI_CONFIG_FILE")) {
        (Some(path), _) => ctx.env.directory.join(path),
        (None, Some(path)) => ctx.env.directory.join(path),
        (None, None) => ctx.env.profile_path(),
    };
    let file = ProfileFile::read(&path)?;
    let stored = file.get(&name).cloned().unwrap_or_default();
    let mut changes = match args.auth.to_ascii_uppercase().as_str() {
        "AKSK" => questions::keys(ctx, &args, &stored)?,
        "PWD" => questions::password(ctx, &args, &stored)?,
        _ => {
            return Err(Error::new(Kind::Unsupported, "authentication by ROMA is not supported")
                .hint("use --auth PWD (user name and password) or --auth AKSK (access key)"));
        }
    };
    places(ctx, &args, &stored, &mut changes)?;
    profile::update(&path, &name, changes)?;
    ctx.ui.ok(&format!("Successfully saved profile [{name}] to [{}]", path.display()))
}

/// Region, project and region file.
fn places(ctx: &Ctx, args: &ConfigureArgs, stored: &Map<String, Value>, changes: &mut Map<String, Value>) -> Result<(), Error> {
    let region = args.region.as_deref().or_else(|| ctx.env.get("REGION_NAME"));
    let mut is_described = false;
    if let Some(path) = &args.region_profile {
        let path = ctx.env.directory.join(path);
        let regions = region::read_file(&path)?;
        is_described = region.is_some_and(|region| regions.contains_key(region));
        changes.insert("region_profile".to_owned(), Value::from(path.display().to_string()));
    }
    match region {
        Some(region) => {
            if !is_described && !region::is_known(region) {
                ctx.ui.warn(&format!("the region [{region}] is not known; its endpoints will be guessed from its name"));
            }
            changes.insert("region".to_owned(), Value::from(region));
        }
        None if stored.contains_key("region") => {}
        None => {
            ctx.ui.warn("no region is set; give one with --region or REGION_NAME before other commands can reach a service");
        }
    }
    if let Some(project) = args.project_id.as_deref().or_else(|| ctx.env.get("PROJECT_ID")) {
        changes.insert("project_id".to_owned(), Value::from(project));
    } else if region.is_some() && stored.get("region").and_then(Value::as_str) != region {
        // The stored project belongs to another region.
        changes.insert("project_id".to_owned(), Value::Null);
    }
    Ok(())
}
