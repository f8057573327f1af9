//! The copier against real stores: the embedded one, and SeaweedFS; directly, and through a proxy that breaks things.

mod command;
mod faults;
mod proxy;
mod safety;
mod support;
mod trees;
