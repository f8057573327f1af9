//! What a command is given: environment, settings, output, and clients made on first use.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind};
use crate::http;
use crate::settings::env::Env;
use crate::settings::{Flags, Settings};
use crate::ui::Ui;

/// The surroundings of one command.
#[derive(Debug)]
pub struct Ctx {
    /// The process environment as it was at the start.
    pub env: Env,
    /// Output and questions.
    pub ui: Ui,
    flags: Flags,
    settings: OnceLock<Settings>,
    cancel: OnceLock<CancellationToken>,
}

impl Ctx {
    /// Nothing is read or connected yet.
    pub fn new(env: Env, ui: Ui, flags: Flags) -> Self {
        Self { env, ui, flags, settings: OnceLock::new(), cancel: OnceLock::new() }
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
        let settings = Settings::resolve(&self.flags, &self.env)?;
        for warning in &settings.warnings {
            self.ui.warn(warning);
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
        let either = |upper: &str, lower: &str| self.env.get(upper).or_else(|| self.env.get(lower)).map(str::to_owned);
        Ok(http::Options {
            ca_bundle: settings.ca_bundle.clone(),
            verify_tls: settings.verify_tls,
            proxy: http::proxy::Options {
                https: either("HTTPS_PROXY", "https_proxy"),
                http: either("HTTP_PROXY", "http_proxy"),
                none: either("NO_PROXY", "no_proxy"),
            },
            ..http::Options::default()
        })
    }

    /// Cancelled by the first Ctrl-C, after which the command has to come to an end; the second one ends the process at once.
    /// Until this is called, Ctrl-C ends the process as usual.
    pub fn cancel(&self) -> CancellationToken {
        self.cancel
            .get_or_init(|| {
                let token = CancellationToken::new();
                tokio::spawn(watch_interrupts(token.clone()));
                token
            })
            .clone()
    }
}

async fn watch_interrupts(token: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    token.cancel();
    if tokio::signal::ctrl_c().await.is_ok() {
        exit_interrupted();
    }
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "the second Ctrl-C must work whatever the command is doing")]
fn exit_interrupted() -> ! {
    std::process::exit(i32::from(Kind::Interrupted.exit_code()))
}
