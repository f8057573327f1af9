//! Which profile is meant, and which file it is in.

use std::path::{Path, PathBuf};

use crate::settings::env::Env;
use crate::settings::profile::ProfileFile;
use crate::settings::{DEFAULT_PROFILE, Error, Flags, LOCAL_PROFILE, Origin, Settings, Sourced};

impl Settings {
    /// The profile that is used, whether it exists or not.
    pub fn current_profile(flags: &Flags, env: &Env) -> Sourced<String> {
        profile_name(flags, env)
    }

    /// The file that profiles are written into.
    pub fn profile_file(flags: &Flags, env: &Env) -> PathBuf {
        config_file(flags, env, DEFAULT_PROFILE).value
    }
}

/// The profile, from the option, the variable, the choice or the default.
pub(super) fn profile_name(flags: &Flags, env: &Env) -> Sourced<String> {
    match (&flags.profile, env.get("MA_CLI_PROFILE")) {
        (Some(name), _) => Sourced { value: name.clone(), origin: Origin::Flag("--profile") },
        (None, Some(name)) => Sourced { value: name.to_owned(), origin: Origin::Environment("MA_CLI_PROFILE") },
        (None, None) => {
            chosen_profile(flags, env).unwrap_or_else(|| Sourced { value: DEFAULT_PROFILE.to_owned(), origin: Origin::Default })
        }
    }
}

/// What `configure use` kept; it speaks of the profiles of the user's own file.
fn chosen_profile(flags: &Flags, env: &Env) -> Option<Sourced<String>> {
    if flags.config_file.is_some() || env.get("MA_CLI_CONFIG_FILE").is_some() {
        return None;
    }
    let path = env.chosen_profile_path();
    let name = std::fs::read_to_string(&path).ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| Sourced { value: name.to_owned(), origin: Origin::Chosen(path) })
}

/// The file the profile is read from. The profile `local` lives in the platform's data directory, unless `-C` names a file.
pub(super) fn config_file(flags: &Flags, env: &Env, profile: &str) -> Sourced<PathBuf> {
    if let Some(path) = &flags.config_file {
        return Sourced { value: env.directory.join(path), origin: Origin::Flag("--config-file") };
    }
    if profile == LOCAL_PROFILE {
        return Sourced { value: env.platform_directory().join("client.yaml"), origin: Origin::Default };
    }
    match env.get("MA_CLI_CONFIG_FILE") {
        Some(path) => Sourced { value: env.directory.join(path), origin: Origin::Environment("MA_CLI_CONFIG_FILE") },
        None => Sourced { value: env.profile_path(), origin: Origin::Default },
    }
}

/// What to say of a profile that is not there.
pub(super) fn missing_profile(flags: &Flags, name: &str, path: &Path, file: &ProfileFile) -> Error {
    if name == LOCAL_PROFILE && !path.exists() {
        return Error::NoPlatform { directory: path.parent().unwrap_or(path).to_owned() };
    }
    let mut error = file.missing(name);
    if let Error::NoProfile { named, .. } = &mut error {
        named.clone_from(&flags.config_file);
    }
    error
}
