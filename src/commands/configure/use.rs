//! `configure use`.

use std::io::Write as _;

use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::profile::{self, ProfileFile};
use crate::settings::{self, DEFAULT_PROFILE, LOCAL_PROFILE};

/// Choose the profile that is used when none is named
///
/// -P, -C, MA_CLI_PROFILE and credentials in the environment still come first. DEFAULT takes the choice back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure use work
  ma-cli configure use local
  ma-cli configure use DEFAULT")]
pub struct UseArgs {
    /// The profile
    #[arg(value_name = "PROFILE")]
    // Not `profile`: that is the global option's.
    name: String,
}

/// Keeps the choice.
///
/// # Errors
/// There is no such profile; the choice would not hold for the file that is named; the choice cannot be written.
pub fn run(ctx: &Ctx, args: &UseArgs) -> Result<(), Error> {
    if ctx.flags().config_file.is_some() {
        return Err(Error::new(Kind::Usage, "a profile of another file cannot be chosen")
            .hint("-C says in each run which file is meant; MA_CLI_CONFIG_FILE and MA_CLI_PROFILE say it for all"));
    }
    let chosen = ctx.env.chosen_profile_path();
    let failed =
        |error: std::io::Error| Error::new(Kind::Local, format!("cannot write [{}]", chosen.display())).caused_by(error);
    if args.name == DEFAULT_PROFILE {
        match std::fs::remove_file(&chosen) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    } else if ctx.env.get("MA_CLI_CONFIG_FILE").is_some() {
        return Err(Error::new(Kind::Conflict, "MA_CLI_CONFIG_FILE names another file, for which no choice holds")
            .hint("set MA_CLI_PROFILE too, or unset MA_CLI_CONFIG_FILE"));
    } else {
        let is_local = args.name == LOCAL_PROFILE;
        let file = ProfileFile::read(&ctx.env.profile_path())?;
        let directory = ctx.env.platform_directory();
        if is_local && !directory.join("client.yaml").exists() {
            return Err(settings::Error::NoPlatform { directory }.into());
        }
        if !is_local && file.get(&args.name).is_none() {
            return Err(file.missing(&args.name).into());
        }
        let folder = ctx.env.state_directory();
        let write = || {
            profile::make_folder(&folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&folder)?;
            writeln!(file, "{}", args.name)?;
            file.persist(&chosen)?;
            Ok(())
        };
        write().map_err(failed)?;
    }
    let when = match ctx.env.get("MA_CLI_PROFILE") {
        Some(first) if first != args.name => format!("where MA_CLI_PROFILE is not set, which says [{first}] here"),
        _ => "from now on".to_owned(),
    };
    ctx.ui.ok(&format!("The profile [{}] is used {when}", args.name))
}
