//! `auth logout`.

use serde_json::{Map, Value};

use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::vault::{self, Entry};
use crate::settings::{LOCAL_PROFILE, Origin, profile};

/// The keys of a profile that go.
const SECRETS: [&str; 3] = ["secret_key", "security_token", "password"];

/// Forget the secrets of a profile and the tokens made with them
///
/// Asks first. User name, access key id, region and endpoints stay, so that logging in again asks only for the secret.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli auth logout
  ma-cli auth logout -P work -y")]
pub struct LogoutArgs {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Forgets them.
///
/// # Errors
/// There are none in a profile; the answer was no; the file cannot be edited.
pub fn run(ctx: &Ctx, args: &LogoutArgs) -> Result<(), Error> {
    let settings = ctx.settings()?;
    let Some(identity) = &settings.identity else {
        return ctx.ui.ok("There was nobody logged in");
    };
    let Origin::Profile { name, path } = &identity.origin else {
        return Err(Error::new(Kind::Conflict, format!("the credentials come from the {}", identity.origin))
            .hint("unset HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, or name the profile with -P"));
    };
    if name == LOCAL_PROFILE && ctx.flags().config_file.is_none() {
        return Err(Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform"));
    }
    if !args.yes {
        ctx.ui.confirm(&format!("Forget the secrets of profile [{name}] in [{}]?", path.display()), "-y/--yes")?;
    }
    ctx.forget_tokens()?;
    profile::update(path, name, Map::from_iter(SECRETS.map(|key| (key.to_owned(), Value::Null))))?;
    for key in SECRETS {
        if let Err(error) = vault::delete(settings.store, &Entry::new(path, name, key)) {
            ctx.ui.warn(&format!("{error}; a secret of profile [{name}] may still be there"));
            break;
        }
    }
    ctx.ui.ok(&format!("Logged out of profile [{name}]"))
}
