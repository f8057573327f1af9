//! Where every setting comes from: flags, environment, profile, region table. Resolved once, each with its origin.
//!
//! Order: flags (an explicit `-P` or `-C` among them), then the environment, then the `DEFAULT` profile. Access key, secret key
//! and token always come from one source together.

mod endpoint;
pub mod env;
pub mod error;
mod identity;
pub mod network;
mod place;
pub mod profile;
pub mod region;
mod resolve;
pub mod stored;
mod unknown;
pub mod vault;
pub mod yaml;

use std::fmt;
use std::path::PathBuf;

pub use error::{Broken, Error};
pub use network::Network;
pub use region::Service;
pub use unknown::Unknown;

use crate::auth::report::Step;
use crate::auth::secret::{Secret, masked};

/// The name of the profile that is used when none is named.
pub const DEFAULT_PROFILE: &str = "DEFAULT";
/// The built-in profile that reaches the embedded platform.
pub const LOCAL_PROFILE: &str = "local";

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `-C/--config-file`.
    pub config_file: Option<PathBuf>,
    /// `-P/--profile`.
    pub profile: Option<String>,
    /// `--ca-bundle`.
    pub ca_bundle: Option<PathBuf>,
    /// `--no-verify-ssl`.
    pub no_verify_ssl: bool,
}

impl Flags {
    /// The options that name file and profile, for commands that a user is advised to run: ` -P dev`, or nothing.
    pub fn options(&self) -> String {
        let mut options = String::new();
        if let Some(file) = &self.config_file {
            options.push_str(&format!(" -C {}", shell_words::quote(&file.to_string_lossy())));
        }
        if let Some(profile) = &self.profile {
            options.push_str(&format!(" -P {}", shell_words::quote(profile)));
        }
        options
    }
}

/// Where a value came from; shown to the user, so the variants name what can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A command line option.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A profile in a file.
    Profile {
        /// Name of the profile.
        name: String,
        /// The file it is in.
        path: PathBuf,
    },
    /// Chosen with `ma-cli configure use`, which keeps the choice in this file.
    Chosen(PathBuf),
    /// Derived from the region by the built-in table or its pattern.
    Region,
    /// A default of the program.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "option {name}"),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Profile { name, path } => write!(formatter, "profile [{name}] in [{}]", path.display()),
            Self::Chosen(path) => write!(formatter, "ma-cli configure use, in [{}]", path.display()),
            Self::Region => formatter.write_str("the region"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}

/// What identifies the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Access keys, signed with directly.
    Keys {
        /// Access key id.
        access_key: String,
        /// Secret key.
        secret_key: Secret,
        /// Security token of temporary keys.
        security_token: Option<Secret>,
    },
    /// A login, exchanged for a token.
    Password {
        /// Account the user belongs to; the user name itself when the account logs in.
        account: String,
        /// User name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// A profile that says who the user is and holds no secret: nobody else's credentials stand in for it.
    LoggedOut {
        /// Access key id or user name.
        name: Option<String>,
        /// The key that is missing: `secret_key` or `password`.
        missing: &'static str,
    },
    /// A place that names credentials and cannot give them: nobody else's stand in for these.
    Broken(Broken),
}

impl fmt::Display for Identity {
    /// What it is and whose; without the secret, and of a key id no more than people know it by.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys { access_key, security_token: None, .. } => write!(formatter, "access key [{}]", masked(access_key)),
            Self::Keys { access_key, .. } => write!(formatter, "temporary access key [{}]", masked(access_key)),
            Self::Password { account, username, .. } => {
                write!(formatter, "password of user [{username}] of account [{account}]")
            }
            Self::LoggedOut { missing, .. } => write!(formatter, "no {missing}"),
            Self::Broken(broken) => broken.fmt(formatter),
        }
    }
}

/// An agency to act under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agency {
    /// Its name.
    pub name: String,
    /// The account that made it.
    pub domain: String,
}

/// Everything a command needs to reach the services, resolved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The profile in use.
    pub profile: Sourced<String>,
    /// The profile file in use.
    pub config_file: Sourced<PathBuf>,
    /// Region, when one is known.
    pub region: Option<Sourced<String>>,
    /// Project id, when one is configured; else it is looked up by region.
    pub project_id: Option<Sourced<String>>,
    /// Who the user is; `None` when nothing is configured, and the surroundings are asked.
    pub identity: Option<Sourced<Identity>>,
    /// Where credentials were looked for, as far as settings go.
    pub identity_steps: Vec<Step>,
    /// Where the profile keeps its secrets.
    pub store: Sourced<vault::Store>,
    /// The agency to act under, when the profile names one.
    pub agency: Option<Sourced<Agency>>,
    /// Endpoints that are set or can be derived.
    endpoints: Vec<(Service, Sourced<String>)>,
    /// How connections are made.
    pub network: Network,
    /// Whether TLS certificates are checked.
    pub verify_tls: bool,
    /// Keys of the profile that nothing reads.
    pub unknown_keys: Vec<Unknown>,
    /// Things the user should know, such as a profile file that others can read.
    pub warnings: Vec<String>,
}

impl Settings {
    /// The endpoint of a service: scheme, host and port, without a trailing slash.
    ///
    /// # Errors
    /// [`Error::NoEndpoint`] when neither an endpoint nor a region is configured.
    pub fn endpoint(&self, service: Service) -> Result<&Sourced<String>, Error> {
        self.endpoints.iter().find(|(known, _)| *known == service).map(|(_, endpoint)| endpoint).ok_or_else(|| {
            Error::NoEndpoint {
                service: service.name(),
                why: if self.config_file.value.exists() {
                    format!("set a region in profile [{}], or {}", self.profile.value, service.variable())
                } else {
                    "ma-cli is not configured yet".to_owned()
                },
            }
        })
    }
}
