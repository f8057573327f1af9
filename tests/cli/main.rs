//! The real binary, run as a user would: a fresh home, a clean environment, exact output.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests may panic and read the environment")]

mod algorithm;
mod completion;
mod configure;
mod generated;
mod grammar;
mod identity;
mod ma_job;
mod obs;
mod shell;
mod support;
mod terminal;
mod topics;
