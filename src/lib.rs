//! `ma-cli`: the command line of Huawei Cloud ModelArts, with a copier for OBS and an embedded platform.
//!
//! This crate is the program; it is a library only so that tests, benches and the generator can reach its parts. It makes no
//! promise of a stable interface. The modules below stand in layers, the lowest first; a module uses only what stands above
//! it in this list (`tests/architecture.rs` holds the exact table).

/// HTTP: TLS, proxies, retries.
pub mod http;

/// Identity: credentials, signing, tokens.
pub mod auth;

/// The control planes' REST API.
pub mod api;

/// The object store's client.
pub mod obs;

/// The copier.
pub mod copy;

/// Settings and profiles.
pub mod settings;

/// The one error type, its kinds and exit codes.
pub mod error;

/// Output: tables, documents, progress, prompts.
pub mod ui;

/// The embedded platform.
#[cfg(feature = "platform")]
pub mod platform;

use std::ffi::OsString;
use std::process::ExitCode;

use settings::env::Env;

/// Runs the program: arguments and environment in, exit code out.
pub fn main(arguments: Vec<OsString>, env: Env) -> ExitCode {
    let _ = (arguments, env);
    ExitCode::SUCCESS
}
