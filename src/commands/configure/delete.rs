//! `configure delete`.

use crate::ctx::Ctx;
use crate::error::{Error, Kind, nearest};
use crate::settings::profile::{self, ProfileFile};
use crate::settings::stored::Stored;
use crate::settings::vault;
use crate::settings::{self, LOCAL_PROFILE, Settings};

/// Delete a profile with its secrets
///
/// Asks first. Tokens that were kept go too, of every profile: they only save time. Other profiles and comments in the file stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure delete work
  ma-cli configure delete work -y")]
pub struct DeleteArgs {
    /// The profile
    #[arg(value_name = "PROFILE")]
    // Not `profile`: that is the global option's.
    name: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Deletes it.
///
/// # Errors
/// There is no such profile; the answer was no; the file cannot be edited; a keyring keeps the secret, and the profile stays, logged
/// out.
pub fn run(ctx: &Ctx, args: &DeleteArgs) -> Result<(), Error> {
    let (path, name) = (Settings::profile_file(ctx.flags(), &ctx.env), args.name.clone());
    if name == LOCAL_PROFILE && ctx.flags().config_file.is_none() {
        return Err(Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform")
            .hint("remove the platform with: ma-cli platform reset"));
    }
    let file = ProfileFile::read(&path)?;
    let Some(entry) = file.get(&name).cloned() else {
        // Nobody who deletes a profile wants to hear how it is made.
        let mut missing = Error::new(Kind::Config, file.missing(&name).to_string());
        missing.hints.extend(nearest(&name, file.names()).map(|meant| format!("did you mean [{meant}]?")));
        return Err(missing.hint("list them with: ma-cli configure list"));
    };
    if !args.yes {
        ctx.ui.confirm(&format!("Delete profile [{name}] of [{}] with its secrets?", path.display()), "-y/--yes")?;
    }
    let stored = Stored::read(&path, &name, entry);
    let was_logged_out = stored.is_logged_out();
    let is_forgotten = stored.log_out();
    ctx.forget_tokens();
    match is_forgotten {
        // Without the profile nobody would know where the secret is. Where no keyring answers that cannot be waited for: whoever says
        // it again knows what stays.
        Err(error @ settings::Error::Kept { source: vault::Error::Absent { .. }, .. }) if was_logged_out => {
            ctx.ui.warn(&error.to_string());
        }
        Err(error) => return Err(error.into()),
        Ok(()) => {}
    }
    profile::remove(&path, &name)?;
    ctx.forget_choice(&name);
    ctx.ui.ok(&format!("Deleted profile [{name}]"))
}
