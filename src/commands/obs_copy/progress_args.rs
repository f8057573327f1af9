//! What is shown while a copy runs.

use crate::ui::progress::Progress;

/// Options about what is shown.
#[derive(Debug, clap::Args)]
pub(super) struct ProgressArgs {
    /// What to show on standard error while copying: auto is one line on a terminal and in a notebook, jsonl events for a program
    #[arg(long, default_value = "auto", value_name = "MODE",
          value_parser = clap::builder::PossibleValuesParser::new(Progress::NAMES))]
    progress: String,
}

impl ProgressArgs {
    /// What was asked for.
    pub(super) fn choice(&self) -> Progress {
        Progress::parse(&self.progress)
    }
}
