//! The platform's object store through `aws-sdk-s3`, raw OBS requests and the vendor's and other people's Python clients.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod bytes;
mod conditions;
mod crash;
mod keys;
mod lists;
mod multipart;
#[path = "../python/mod.rs"]
mod programs;
mod python;
mod signatures;
mod support;
mod verbs;
