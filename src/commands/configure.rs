//! `ma-cli configure`: stores credentials and region in a profile. Makes no network call.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::auth::secret::{MASK, Secret};
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
        "AKSK" => keys(ctx, &args, &stored)?,
        "PWD" => password(ctx, &args, &stored)?,
        _ => {
            return Err(Error::new(Kind::Unsupported, "authentication by ROMA is not supported")
                .hint("use --auth PWD (user name and password) or --auth AKSK (access key)"));
        }
    };
    places(ctx, &args, &stored, &mut changes)?;
    profile::update(&path, &name, changes)?;
    ctx.ui.ok(&format!("Successfully saved profile [{name}] to [{}]", path.display()))
}

/// Access key and secret key; Enter keeps a stored one.
fn keys(ctx: &Ctx, args: &ConfigureArgs, stored: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    if args.secret_key.is_some() {
        warn_visible(ctx, "--secret-key");
    }
    let access_key = match &args.access_key {
        Some(key) => Secret::from(key.as_str()),
        None => ask(ctx, "access key", "--access-key", stored.get("access_key"))?,
    };
    let secret_key = match &args.secret_key {
        Some(key) => key.clone(),
        None => ask(ctx, "secret key", "--secret-key", stored.get("secret_key"))?,
    };
    Ok(Map::from_iter([
        ("auth".to_owned(), Value::from("AKSK")),
        ("access_key".to_owned(), Value::from(access_key.expose())),
        ("secret_key".to_owned(), Value::from(secret_key.expose())),
    ]))
}

/// Account, user name and password.
fn password(ctx: &Ctx, args: &ConfigureArgs, stored: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    if args.password.is_some() {
        warn_visible(ctx, "--password");
    }
    let account = match &args.account {
        Some(account) => Some(account.clone()),
        None => ctx.ui.ask_optional("account")?,
    };
    let username = match &args.username {
        Some(username) => username.clone(),
        None => ctx.ui.ask("username", "--username")?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None => ask(ctx, "password", "--password", stored.get("password"))?,
    };
    if username.is_empty() {
        return Err(Error::new(Kind::Usage, "the user name is empty").hint("give --username"));
    }
    Ok(Map::from_iter([
        ("auth".to_owned(), Value::from("PWD")),
        ("account".to_owned(), account.map_or(Value::Null, Value::from)),
        ("username".to_owned(), Value::from(username)),
        ("password".to_owned(), Value::from(password.expose())),
    ]))
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
            ctx.ui.warn("no region is set; give one with --region or REGION_NAME before other commands can reach a service")
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

/// Asks for a secret; where one is stored, `[***]` says so and Enter keeps it.
fn ask(ctx: &Ctx, question: &str, option: &str, stored: Option<&Value>) -> Result<Secret, Error> {
    let stored = stored.and_then(Value::as_str).filter(|value| !value.is_empty());
    let question = if stored.is_some() { format!("{question} [{MASK}]") } else { question.to_owned() };
    let answer = ctx.ui.ask_secret(&question, option)?;
    match (answer.is_empty(), stored) {
        (false, _) => Ok(answer),
        (true, Some(stored)) => Ok(Secret::from(stored)),
        (true, None) => {
            Err(Error::new(Kind::Usage, format!("the {} is empty", option.trim_start_matches('-').replace('-', " ")))
                .hint(format!("give {option}")))
        }
    }
}

fn warn_visible(ctx: &Ctx, option: &str) {
    ctx.ui.warn(&format!("a secret given as {option} can be seen in the process list and the shell's history"));
}
