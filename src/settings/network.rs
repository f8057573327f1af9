//! How connections are made: proxies, certificates, time limits.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::resolve::Reader;
use crate::settings::{Error, Flags, Origin, Sourced};

/// Resolved settings of the network.
#[derive(Clone, Debug)]
pub struct Network {
    /// URL of the proxy for https: key `proxy`, `HTTPS_PROXY`.
    pub https_proxy: Option<Sourced<String>>,
    /// URL of the proxy for http: key `proxy`, `HTTP_PROXY`.
    pub http_proxy: Option<Sourced<String>>,
    /// Hosts that are reached directly: key `no_proxy`, `NO_PROXY`.
    pub no_proxy: Option<Sourced<String>>,
    /// PEM file with further trusted certificates: `--ca-bundle`, key `ca_bundle`.
    pub ca_bundle: Option<Sourced<PathBuf>>,
    /// Limit for making a connection: key `connect_timeout`, in seconds.
    pub connect_timeout: Sourced<Duration>,
    /// Longest silence on a connection of the control planes: key `read_timeout`, in seconds.
    pub read_timeout: Sourced<Duration>,
    /// Attempts at one request: key `attempts`. Where it is not set, the store is tried more often (`http::retry`).
    pub attempts: Sourced<u32>,
}

/// What holds where nothing is set; `http::Options` says why.
const CONNECT_SECONDS: f64 = 10.0;
const READ_SECONDS: f64 = 120.0;
const ATTEMPTS: u32 = 4;

/// An hour: whoever wants to wait longer has misread the unit.
const LONGEST_SECONDS: f64 = 3600.0;

impl Reader<'_> {
    /// Reads what concerns the network.
    ///
    /// # Errors
    /// A time or number that is none, or out of range.
    pub(super) fn network(&self, flags: &Flags) -> Result<Network, Error> {
        let from_flag = flags
            .ca_bundle
            .as_ref()
            .map(|path| Sourced { value: self.env.directory.join(path), origin: Origin::Flag("--ca-bundle") });
        let in_directory = |sourced: Sourced<String>| {
            let Sourced { value, origin } = sourced;
            Sourced { value: self.env.directory.join(value), origin }
        };
        Ok(Network {
            https_proxy: self.value("proxy", &["HTTPS_PROXY", "https_proxy"])?,
            http_proxy: self.value("proxy", &["HTTP_PROXY", "http_proxy"])?,
            no_proxy: self.value("no_proxy", &["NO_PROXY", "no_proxy"])?,
            ca_bundle: match from_flag {
                Some(path) => Some(path),
                None => self.value("ca_bundle", &[])?.map(in_directory),
            },
            connect_timeout: self.seconds("connect_timeout", CONNECT_SECONDS)?,
            read_timeout: self.seconds("read_timeout", READ_SECONDS)?,
            attempts: self.attempts()?,
        })
    }

    fn seconds(&self, key: &str, default: f64) -> Result<Sourced<Duration>, Error> {
        let Some(text) = self.text(key)? else {
            return Ok(Sourced { value: Duration::from_secs_f64(default), origin: Origin::Default });
        };
        let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST_SECONDS);
        let seconds = seconds.ok_or_else(|| self.wrong(key, "seconds are expected, more than 0 and at most 3600"))?;
        Ok(Sourced { value: Duration::from_secs_f64(seconds), origin: self.origin.clone() })
    }

    fn attempts(&self) -> Result<Sourced<u32>, Error> {
        let Some(text) = self.text("attempts")? else {
            return Ok(Sourced { value: ATTEMPTS, origin: Origin::Default });
        };
        let attempts = text.parse().ok().filter(|attempts| (1..=20).contains(attempts));
        let value = attempts.ok_or_else(|| self.wrong("attempts", "a number from 1 to 20 is expected"))?;
        Ok(Sourced { value, origin: self.origin.clone() })
    }
}
