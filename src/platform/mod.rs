//! The embedded platform: ModelArts, OBS and IAM on one machine, on the same REST API, running what it is given.
//!
//! It shares no types with `api`, `obs` or `http`: client and server are each checked against the catalogues, so that they
//! cannot agree on the same mistake. Only `runner` uses `copy` and `obs`, to fetch code and inputs and to keep outputs.
//!
//! [`Platform::start`] takes the data directory's lock, opens its state and serves two loopback ports: one for all control
//! planes, one for the object store. Every request is authenticated at the door (`authenticate`), then routed by its path.

mod authenticate;
mod connections;
pub mod error;
pub mod files;
pub mod identity;
pub mod installation;
pub mod instance;
pub mod log;
pub mod modelarts;
pub mod obs;
pub mod options;
pub mod profile;
mod reply;
pub mod reset;
mod router;
pub mod runner;
pub mod search;
pub mod server;
mod signature;
pub mod state;
pub mod terminal;

pub use error::Error;
pub use options::Options;
pub use server::{Handle, Platform};
