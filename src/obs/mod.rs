//! The object store's client: control verbs through `aws-sdk-s3`, bytes through a thin path of our own, over one HTTP stack.
//!
//! Both halves share connections, TLS, proxy, credentials and clock. Requests are retried here ([`Client::retrying`]); each
//! attempt is signed anew.

pub mod address;
pub mod attributes;
pub mod body;
pub mod bytes;
pub mod client;
pub mod control;
pub mod copying;
pub mod error;
pub mod list;
pub mod media;
pub mod multipart;
pub mod page;
mod sdk;
pub mod sign;
mod transport;
pub mod url;
mod wire;
pub mod xml;

pub use client::{Client, Options};
pub use error::Error;
pub use url::ObsUrl;
