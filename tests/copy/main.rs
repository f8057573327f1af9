//! The copier against real stores: the embedded one, and SeaweedFS; directly, and through a proxy that breaks things.

// Futures in futures in futures.
#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod attributes;
#[path = "../authority/mod.rs"]
mod authority;
mod command;
mod dialect;
mod disk;
mod faults;
mod filters;
mod fuzz;
mod hostile;
mod interop;
mod interrupts;
mod kills;
mod lanes;
mod listing;
mod matrix;
mod meter;
mod mirror;
mod null_store;
mod pipes;
mod preserve;
mod process;
mod program;
#[path = "../python/mod.rs"]
mod programs;
mod progress;
mod proxy;
mod remote;
mod report;
mod resume;
mod safety;
mod sizes;
mod stops;
mod stub;
mod support;
mod tls;
mod trees;
mod unfinished;
mod update;
