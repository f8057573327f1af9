//! The real binary, run as a user would: a fresh home, a clean environment, exact output.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests may panic and read the environment")]

mod algorithm;
mod api;
#[path = "../authority/mod.rs"]
mod authority;
mod chain;
mod completion;
mod configure;
mod doctor;
mod errors;
mod fake_service;
mod generated;
mod grammar;
mod identity;
mod keyring;
mod ma_job;
mod ma_job_create;
mod ma_job_exits;
mod ma_job_follow;
mod ma_job_many;
mod ma_job_watch;
mod network;
mod obs;
mod output;
mod profiles;
mod release;
mod security;
mod security_children;
mod security_network;
mod security_output;
mod shell;
mod small_server;
mod snapshots;
mod support;
mod terminal;
mod topics;
mod transcript;
mod version;
