//! `auth logout`.

use serde_json::Map;

use crate::commands::auth::login;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::profile::ProfileFile;
use crate::settings::stored::Stored;
use crate::settings::{LOCAL_PROFILE, Origin, Settings};

/// Forget the secrets of a profile and the tokens made with them
///
/// Asks first. User name, access key id, region and endpoints stay, so that logging in again asks only for the secret. Tokens of other
/// profiles go too: they only save time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli auth logout
  ma-cli auth logout -P work -y")]
pub struct LogoutArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Forgets them. Settings are not resolved: what no command could use must be forgotten all the more.
///
/// # Errors
/// The credentials are those of the environment; there is no such profile; the answer was no; the file cannot be edited; a keyring
/// keeps the secret.
pub fn run(ctx: &Ctx, args: &LogoutArgs) -> Result<(), Error> {
    let (flags, env) = (ctx.flags(), &ctx.env);
    login::refuse_hidden(ctx)?;
    let current = Settings::current_profile(flags, env);
    let name = &current.value;
    if name == LOCAL_PROFILE && flags.config_file.is_none() {
        let error = Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform");
        return Err(ctx.hint_choice(error.hint("name another one with -P")));
    }
    let path = Settings::profile_file(flags, env);
    let file = ProfileFile::read(&path)?;
    let stored = match file.get(name) {
        Some(entry) => Stored::read(&path, name, entry.clone()),
        None if current.origin == Origin::Default && path == env.profile_path() => Stored::read(&path, name, Map::new()),
        None => {
            return Err(Error::new(Kind::Config, file.missing(name).to_string()).hint("list them with: ma-cli configure list"));
        }
    };
    if !stored.may_hold_secrets() {
        ctx.forget_tokens();
        return ctx.ui.ok("There was nobody logged in");
    }
    if !args.yes {
        ctx.ui.confirm(&format!("Forget the secrets of profile [{name}] in [{}]?", path.display()), "-y/--yes")?;
    }
    let done = stored.log_out();
    ctx.forget_tokens();
    done?;
    ctx.ui.ok(&format!("Logged out of profile [{name}]"))
}
