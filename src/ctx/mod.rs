//! What a command is given: environment, settings, output, and clients made on first use.

mod identity;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::auth::credential::VARIABLES;
use crate::auth::{self, Authenticator};
use crate::error::{Error, Kind, nearest};
use crate::http;
use crate::obs;
use crate::settings::env::Env;
use crate::settings::{self, Flags, Identity, Origin, Service, Settings, Sourced, region};
use crate::ui::Ui;
use crate::ui::chart::Ink;

/// The surroundings of one command.
#[derive(Debug)]
pub struct Ctx {
    /// The process environment as it was at the start.
    pub env: Env,
    /// Output and questions.
    pub ui: Ui,
    flags: Flags,
    /// What stands for the profile of the file.
    draft: Option<Map<String, Value>>,
    settings: OnceLock<Settings>,
    client: OnceLock<http::Client>,
    authenticator: OnceLock<Authenticator>,
    ambient: OnceLock<Arc<auth::AmbientKeys>>,
    cancel: OnceLock<CancellationToken>,
    exit_code: OnceLock<u8>,
}

impl Ctx {
    /// Nothing is read or connected yet.
    pub fn new(env: Env, ui: Ui, flags: Flags) -> Self {
        Self {
            env,
            ui,
            flags,
            draft: None,
            settings: OnceLock::new(),
            client: OnceLock::new(),
            authenticator: OnceLock::new(),
            ambient: OnceLock::new(),
            cancel: OnceLock::new(),
            exit_code: OnceLock::new(),
        }
    }

    /// The same surroundings with this profile in place of the one in the file, to try it before it is written.
    #[must_use]
    pub fn with_profile(&self, profile: Map<String, Value>) -> Self {
        let fresh = Self::new(self.env.clone(), self.ui.clone(), self.flags.clone());
        Self { draft: Some(profile), ..fresh }
    }

    /// What the command line said about settings; for `configure`, which writes rather than resolves them.
    pub fn flags(&self) -> &Flags {
        &self.flags
    }

    /// The resolved settings. The first call reads the files and prints warnings about them.
    ///
    /// # Errors
    /// A file that cannot be read or understood, a profile that does not exist.
    pub fn settings(&self) -> Result<&Settings, Error> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = Settings::resolve_with(&self.flags, &self.env, self.draft.as_ref()).map_err(|error| match error {
            settings::Error::NoProfile { .. } | settings::Error::NoPlatform { .. } => self.hint_choice(error.into()),
            error => error.into(),
        })?;
        for warning in &settings.warnings {
            self.ui.warn(warning);
        }
        for unknown in &settings.unknown_keys {
            if let Some(meant) = nearest(&unknown.key, unknown.known.iter().copied()) {
                let place = format!("profile [{}] in [{}]", settings.profile.value, settings.config_file.value.display());
                self.ui.warn(&format!("{place}: unknown key [{}]; did you mean [{meant}]?", unknown.key));
            }
        }
        for (service, endpoint) in in_clear_text(&settings) {
            self.ui.warn(&format!(
                "[{}] from {} is not encrypted: tokens and passwords for {} can be read on the way",
                auth::secret::masked_address(&endpoint.value),
                endpoint.origin,
                service.name()
            ));
        }
        if !settings.verify_tls {
            self.ui.warn("TLS certificates are not checked in this run (--no-verify-ssl): anyone on the way can read and change what is sent");
        }
        Ok(self.settings.get_or_init(|| settings))
    }

    /// How connections are made.
    ///
    /// # Errors
    /// As [`Ctx::settings`].
    pub fn http_options(&self) -> Result<http::Options, Error> {
        let settings = self.settings()?;
        let network = &settings.network;
        let proxy = |sourced: &Option<Sourced<String>>| {
            let Sourced { value, origin } = sourced.as_ref()?;
            http::proxy::Proxy::parse(value, origin.to_string()).map_err(|error| error.to_string()).transpose()
        };
        Ok(http::Options {
            ca_bundle: network.ca_bundle.as_ref().map(|path| path.value.clone()),
            verify_tls: settings.verify_tls,
            proxy: http::proxy::Options {
                https: proxy(&network.https_proxy),
                http: proxy(&network.http_proxy),
                none: network.no_proxy.as_ref().map(|hosts| hosts.value.clone()),
            },
            connect_timeout: network.connect_timeout.value,
            read_timeout: network.read_timeout.value,
            attempts: network.attempts.value,
            ..http::Options::default()
        })
    }

    /// The HTTP client of the control planes.
    ///
    /// # Errors
    /// As [`Ctx::settings`].
    pub fn http_client(&self) -> Result<&http::Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let options = self.http_options()?;
        Ok(self.client.get_or_init(|| http::Client::new(options)))
    }

    /// The control plane of ModelArts.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`]; no endpoint is known.
    pub fn modelarts(&self) -> Result<Api, Error> {
        self.control_plane(Service::ModelArts.name())
    }

    /// The control plane of the service with that name, as region tables have it: `modelarts`, `iam`, `swr` or `dli`.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`]; no such service, no endpoint is known.
    pub fn control_plane(&self, name: &str) -> Result<Api, Error> {
        let unknown = || Error::new(Kind::Usage, format!("there is no service [{name}]"));
        let service = Service::ALL.into_iter().find(|service| service.name() == name).ok_or_else(unknown)?;
        let endpoint = &self.settings()?.endpoint(service)?.value;
        let api = Api::new(endpoint, self.http_client()?.clone(), self.authenticator()?.clone());
        Ok(if service == Service::Iam { api.global() } else { api })
    }

    /// The object store.
    ///
    /// # Errors
    /// As [`Ctx::authenticator`]; no endpoint is known.
    pub fn obs(&self) -> Result<obs::Client, Error> {
        self.obs_with_stall(obs::client::STALL)
    }

    /// As [`Self::obs`], where requests count as stalled after `stall` without progress.
    ///
    /// # Errors
    /// As [`Self::obs`].
    pub fn obs_with_stall(&self, stall: Duration) -> Result<obs::Client, Error> {
        let settings = self.settings()?;
        let endpoint = settings.endpoint(Service::Obs)?.value.clone();
        // Stores that are no cloud region take any name; this is the one their tools send.
        let region = settings.region.as_ref().map_or_else(|| "us-east-1".to_owned(), |region| region.value.clone());
        let options = obs::Options::new(endpoint, region, self.credentials()?);
        let mut options = obs::Options { http: self.http_options()?, stall, ..options };
        // Copies are more patient than the control planes, unless the profile says how often is often enough.
        if settings.network.attempts.origin != Origin::Default {
            options.retry.attempts = settings.network.attempts.value;
            options.first_attempts = settings.network.attempts.value;
        }
        Ok(obs::Client::new(options)?)
    }

    /// The environment for a program that a user has us run: ours, without the credentials of this tool under whatever name.
    pub fn child_environment(&self) -> Vec<(String, String)> {
        let identity = self.settings.get().and_then(|settings| settings.identity.as_ref());
        let mut secrets: Vec<&str> = match identity.map(|identity| &identity.value) {
            Some(Identity::Keys { access_key, secret_key, security_token }) => [access_key, secret_key.expose()]
                .into_iter()
                .chain(security_token.as_ref().map(|token| token.expose()))
                .collect(),
            Some(Identity::Password { password, .. }) => vec![password.expose()],
            None | Some(Identity::LoggedOut { .. } | Identity::Broken(_)) => Vec::new(),
        };
        // Those that are not used in this run are secrets as well.
        let values = VARIABLES.iter().filter(|name| !name.starts_with("HC_"));
        secrets.extend(values.filter_map(|name| self.env.get(name)));
        // A short secret may stand in a value by chance.
        let holds = |value: &str, secret: &str| value == secret || (secret.len() >= 8 && value.contains(secret));
        let is_harmless =
            |(name, value): &(&str, &str)| !VARIABLES.contains(name) && !secrets.iter().any(|secret| holds(value, secret));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.env.variables().filter(is_harmless).map(owned).collect()
    }

    /// What charts are drawn with: the locale says whether the terminal shows more than ASCII (POSIX: the first of the three that
    /// is set counts).
    pub fn ink(&self) -> Ink {
        if self.env.is_ascii() { Ink::Ascii } else { Ink::Braille }
    }

    /// How this run was told which profile and file to use, for commands that a user is advised to run: ` -P dev`, or nothing.
    pub fn profile_options(&self) -> String {
        self.flags.options()
    }

    /// Says how to leave the profile again, if `configure use` chose it.
    pub fn hint_choice(&self, error: Error) -> Error {
        match Settings::current_profile(&self.flags, &self.env).origin {
            Origin::Chosen(_) => error.hint("or go back to the profile [DEFAULT] with: ma-cli configure use DEFAULT"),
            _ => error,
        }
    }

    /// Takes the choice of `configure use` back, if it is that profile, which is no more.
    pub fn forget_choice(&self, profile: &str) {
        let chosen = self.env.chosen_profile_path();
        if std::fs::read_to_string(&chosen).is_ok_and(|text| text.trim() == profile) {
            // A choice that cannot be removed is told by the next command.
            let _ = std::fs::remove_file(&chosen);
        }
    }

    /// What this run knows that explains an error further: a region that may be mistyped.
    pub fn advise(&self, error: Error) -> Error {
        let region = self.settings.get().and_then(|settings| settings.region.as_ref());
        match region {
            Some(found) if error.kind == Kind::Network && !region::is_known(&found.value) => {
                let meant = nearest(&found.value, region::names()).map(|name| format!("; did you mean [{name}]?"));
                error.hint(format!("[{}] is no region that this tool knows{}", found.value, meant.unwrap_or_default()))
            }
            _ => error,
        }
    }

    /// Makes the process end with this code when the command succeeds: the code of a program that it ran for the user. Only the first
    /// one counts.
    pub fn set_exit_code(&self, code: u8) {
        let _ = self.exit_code.set(code);
    }

    /// What [`Ctx::set_exit_code`] was told.
    pub fn exit_code(&self) -> Option<u8> {
        self.exit_code.get().copied()
    }

    /// Cancelled by the first Ctrl-C, after which the command has to come to an end; the second one ends the process at once.
    /// Until this is called, Ctrl-C ends the process as usual.
    pub fn cancel(&self) -> CancellationToken {
        self.cancel
            .get_or_init(|| {
                let token = CancellationToken::new();
                // Registered here and not in the task, so that an interrupt right after this call is not missed. Without a
                // handler Ctrl-C ends the process, which is what is left to do then.
                if let Ok(interrupts) = signal(SignalKind::interrupt()) {
                    tokio::spawn(watch_interrupts(interrupts, token.clone()));
                }
                token
            })
            .clone()
    }

    /// [`Ui::confirm`], which Ctrl-C ends whether [`Ctx::cancel`] was called before or not.
    ///
    /// # Errors
    /// As [`Ui::confirm_unless`].
    pub async fn confirm(&self, question: &str, option: &str) -> Result<(), Error> {
        match self.cancel.get() {
            Some(cancel) => self.ui.confirm_unless(cancel.cancelled(), question, option).await,
            None => self.ui.confirm(question, option),
        }
    }
}

async fn watch_interrupts(mut interrupts: Signal, token: CancellationToken) {
    if interrupts.recv().await.is_none() {
        return;
    }
    token.cancel();
    if interrupts.recv().await.is_some() {
        exit_interrupted();
    }
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "the second Ctrl-C must work whatever the command is doing")]
fn exit_interrupted() -> ! {
    std::process::exit(i32::from(Kind::Interrupted.exit_code()))
}

/// Services that are reached over the network without encryption, although tokens and passwords go there, and how. A store is given
/// signatures only.
fn in_clear_text(settings: &Settings) -> impl Iterator<Item = (Service, &Sourced<String>)> {
    let is_open = |url: &str| {
        url::Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !url.host_str().is_some_and(http::proxy::is_loopback))
    };
    let known = Service::ALL.into_iter().filter(|service| *service != Service::Obs);
    known
        .filter_map(|service| Some((service, settings.endpoint(service).ok()?)))
        .filter(move |(_, endpoint)| is_open(&endpoint.value))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Ctx;
    use crate::settings::Flags;
    use crate::settings::env::Env;
    use crate::ui::{Options, Terminals, Ui};

    #[test]
    fn programs_are_started_without_credentials_under_whatever_name() {
        let variables = [
            ("HUAWEICLOUD_SDK_AK", "ACCESSKEYID"),
            ("HUAWEICLOUD_SDK_SK", "s3cret-key"),
            ("OBS_SECURITY_TOKEN", "t0ken"),
            ("HC_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/keys"),
            ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/home/u"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret-key"),
            ("STORE_URL", "s3://ACCESSKEYID:s3cret-key@store"),
            ("SHORT", "t0ken"),
            ("NOTE", "a t0ken of thanks"),
            ("HOME", "/home/u"),
            ("PATH", "/usr/bin"),
        ];
        let ui = Ui::new(Options::default(), Terminals::default());
        let ctx = Ctx::new(Env::for_tests(&variables, Path::new("/home/u")), ui, Flags::default());
        let names: Vec<String> = ctx.child_environment().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["HOME", "NOTE", "PATH"]);
    }
}
