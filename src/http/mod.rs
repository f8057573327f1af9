//! The shared HTTP stack: TLS, proxies, time limits, retries. Everything that leaves the process goes through here.

pub mod call;
pub mod client;
pub mod connector;
pub mod error;
pub mod proxy;
pub mod redact;
pub mod retry;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
mod trace;
pub mod upgrade;
mod whole;

use std::path::PathBuf;
use std::time::Duration;

pub use client::{Answer, Client, Incoming, Request, TimeClass};
pub use error::Error;

/// How connections are made; one value for the whole run.
#[derive(Clone, Debug)]
pub struct Options {
    /// PEM file whose certificates are trusted in addition to the system's (`--ca-bundle`).
    pub ca_bundle: Option<PathBuf>,
    /// `false` only with `--no-verify-ssl`.
    pub verify_tls: bool,
    /// Proxy for https and http requests (`HTTPS_PROXY`, `HTTP_PROXY`), and hosts that are reached directly (`NO_PROXY`).
    pub proxy: proxy::Options,
    /// Value of the `User-Agent` header.
    pub user_agent: String,
    /// Limit for the TCP and TLS handshakes of one connection.
    pub connect_timeout: Duration,
    /// Longest silence on an open connection of the control planes.
    pub read_timeout: Duration,
    /// Attempts at one request of the control planes, the first among them.
    pub attempts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            verify_tls: true,
            proxy: proxy::Options::default(),
            user_agent: concat!("ma-cli/", env!("CARGO_PKG_VERSION")).to_owned(),
            // Ten seconds cover three SYN retransmissions (1 + 2 + 4 s) on a lossy line.
            connect_timeout: Duration::from_secs(10),
            // The vendor's SDK waits as long.
            read_timeout: Duration::from_secs(120),
            attempts: call::POLICY.attempts,
        }
    }
}
