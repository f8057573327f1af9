//! The copier against real stores: the embedded one, and SeaweedFS; directly, and through a proxy that breaks things.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod attributes;
mod command;
mod faults;
mod listing;
mod pipes;
mod proxy;
mod remote;
mod safety;
mod stops;
mod support;
mod trees;
