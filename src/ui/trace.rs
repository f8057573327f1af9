//! `-D/--debug`: what happens on the wire, on standard error. Secrets are masked where the events are made.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Prints this crate's traces to standard error from now on.
pub fn enable() {
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(super::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_filter(Targets::new().with_target("ma_cli", LevelFilter::DEBUG));
    // A second call, as tests make, changes nothing.
    let _ = tracing_subscriber::registry().with(layer).try_init();
}
