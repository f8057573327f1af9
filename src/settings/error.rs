//! What can be wrong with settings and profile files.

use std::path::PathBuf;

/// Failures while settings are read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("cannot {doing} [{path}]: {source}")]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not the YAML it should be.
    #[error("[{path}] is not valid: {message}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason in one line.
        message: String,
    },
    /// The named profile is not in the file.
    #[error("there is no profile [{name}] in [{path}]")]
    NoProfile {
        /// The profile asked for.
        name: String,
        /// The file looked at.
        path: PathBuf,
        /// The profiles that are there.
        known: Vec<String>,
        /// The file, if an option named it.
        named: Option<PathBuf>,
    },
    /// The built-in profile `local` was asked for and no platform was ever started.
    #[error("the profile [local] does not exist yet: no platform was started in [{directory}]")]
    NoPlatform {
        /// The platform's data directory.
        directory: PathBuf,
    },
    /// A value has the wrong form.
    #[error("[{path}]: profile [{profile}], key [{key}]: {message}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which profile.
        profile: String,
        /// Which key.
        key: String,
        /// What is expected.
        message: String,
    },
    /// An endpoint that no request can be sent to.
    #[error("the endpoint of {service} from {origin} cannot be used: {message}")]
    Endpoint {
        /// Which service.
        service: &'static str,
        /// Where it was set.
        origin: crate::settings::Origin,
        /// Why not.
        message: String,
    },
    /// A keyring that does not take the profile's secrets out.
    #[error("a secret of profile [{profile}] may still be there: {source}")]
    Kept {
        /// Which profile.
        profile: String,
        /// Why.
        source: crate::settings::vault::Error,
    },
    /// What was given as a region could not stand in a host name.
    #[error("[{}] ({origin}) is no name of a region: letters, digits and dashes are expected", name.escape_debug())]
    Region {
        /// What was given.
        name: String,
        /// Where.
        origin: crate::settings::Origin,
    },
    /// No endpoint is known for the service.
    #[error("no endpoint of {service} is known: {why}")]
    NoEndpoint {
        /// `modelarts`, `obs`, `iam`, `swr` or `dli`.
        service: &'static str,
        /// What is missing.
        why: String,
    },
}

/// Why a place that names credentials cannot give them. Settings resolve all the same: only what needs the credentials fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Only a part of an access key is set.
    #[error("{place} gives {given} but not {missing}")]
    Half {
        /// Where the half was found.
        place: String,
        /// The part that is there.
        given: &'static str,
        /// The part that is not.
        missing: &'static str,
    },
    /// The profile's secrets are in a keyring that does not give them.
    #[error("profile [{profile}]: {reason}")]
    Vault {
        /// Which profile.
        profile: String,
        /// What the keyring says.
        reason: String,
    },
}
