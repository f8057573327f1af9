//! Commands that the platform starts itself.

use std::path::PathBuf;

/// Supervise one task of a job
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ma-cli platform run-task SPEC")]
pub struct RunTaskArgs {
    /// File that describes the task
    #[arg(value_name = "SPEC")]
    pub(super) spec: PathBuf,
}

/// Run the trials of a search for hyperparameters
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ma-cli platform run-search SPEC")]
pub struct RunSearchArgs {
    /// File that describes the search
    #[arg(value_name = "SPEC")]
    pub(super) spec: PathBuf,
}

/// Become a program with a terminal of its own
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ma-cli platform run-shell -- bash")]
pub struct RunShellArgs {
    /// Program and its arguments
    #[arg(value_name = "CMD", last = true, required = true)]
    pub(super) words: Vec<String>,
}
