//! The job that a verb is about.

use crate::error::{Error, Kind};

/// A job's id, as an argument or an option.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct JobIdArgs {
    /// Id of the job
    #[arg(value_name = "ID", conflicts_with = "job_id")]
    id: Option<String>,
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT", required_unless_present = "id")]
    job_id: Option<String>,
}

impl JobIdArgs {
    /// The id.
    ///
    /// # Errors
    /// Neither was given, or an empty one.
    pub(super) fn id(&self) -> Result<&str, Error> {
        let id = self.job_id.as_deref().or(self.id.as_deref()).unwrap_or_default();
        if id.is_empty() { Err(Error::new(Kind::Usage, "the id of the job is missing")) } else { Ok(id) }
    }
}
