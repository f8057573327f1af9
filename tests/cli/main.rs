//! The real binary, run as a user would: a fresh home, a clean environment, exact output.

mod completion;
mod configure;
mod generated;
mod grammar;
mod support;
