//! The copier against real stores: the embedded one, and SeaweedFS; directly, and through a proxy that breaks things.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod command;
mod faults;
mod interrupts;
mod kills;
mod lanes;
mod meter;
mod process;
mod proxy;
mod resume;
mod safety;
mod stops;
mod support;
mod trees;
mod unfinished;
