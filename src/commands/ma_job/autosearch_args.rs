//! The option of `ma-job submit` that asks for a search for hyperparameters.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::api::modelarts::autosearch;
use crate::error::{Error, Kind};

/// What is to be searched.
#[derive(Debug, Default, clap::Args)]
pub(super) struct AutosearchArgs {
    /// File with a search for hyperparameters (YAML): the job runs its program with other values again and again; see `trials`
    #[arg(long, value_name = "FILE")]
    autosearch: Option<PathBuf>,
}

impl AutosearchArgs {
    /// `algorithm.policies` of the request; `None` when no search is asked for.
    ///
    /// # Errors
    /// The file cannot be read, or what is wrong with it.
    pub(super) fn policies(&self, directory: &Path) -> Result<Option<Value>, Error> {
        let Some(file) = &self.autosearch else { return Ok(None) };
        let text = std::fs::read_to_string(directory.join(file))
            .map_err(|error| Error::new(Kind::Local, format!("cannot read [{}]", file.display())).caused_by(error))?;
        let policy =
            autosearch::policy(&text).map_err(|error| Error::new(Kind::Config, format!("[{}]: {error}", file.display())))?;
        Ok(Some(json!({"auto_search": policy})))
    }
}
