//! What the user sees: standard output is data, everything else goes to standard error.

pub mod present;

pub use present::{Present, Table};
