//! The copier against real stores: the embedded one, and SeaweedFS; directly, and through a proxy that breaks things.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod attributes;
mod command;
mod dialect;
mod disk;
mod faults;
mod hostile;
mod interop;
mod interrupts;
mod kills;
mod lanes;
mod matrix;
mod meter;
mod process;
#[path = "../python/mod.rs"]
mod programs;
mod proxy;
mod remote;
mod resume;
mod safety;
mod sizes;
mod stops;
mod stub;
mod support;
mod tls;
mod trees;
mod unfinished;
