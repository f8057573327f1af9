//! The real binary, run as a user would: a fresh home, a clean environment, exact output.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]
mod completion;
mod configure;
mod generated;
mod grammar;
mod identity;
mod ma_job;
mod support;
