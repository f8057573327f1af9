//! The platform's object store through `aws-sdk-s3`, raw OBS requests and the vendor's and other people's Python clients.

mod bytes;
mod conditions;
mod crash;
mod keys;
mod lists;
mod multipart;
mod python;
mod signatures;
mod support;
mod verbs;
