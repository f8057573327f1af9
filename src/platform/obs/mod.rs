//! The platform's object store: S3 and OBS dialects over plain files and an index in the state file.
//!
//! A request comes in through `server`, passes the `gate` (signatures and dialect of OBS), then the framework `s3s`, and ends in
//! `service`. What is stored is in `store`: rows in `index` and `upload_index`, bytes in `files`.

mod acl;
mod append;
mod buckets;
mod checks;
mod conditions;
mod content;
mod copying;
mod digest;
mod error;
mod files;
mod gate;
mod index;
mod ingest;
mod keys;
mod lists;
mod multipart;
mod objects;
mod part_lists;
mod reading;
mod server;
mod service;
mod store;
mod upload_index;

pub use error::Error;
pub use keys::{AccessKey, KeyRing};
pub use server::ObjectStore;
