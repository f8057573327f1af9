//! What of the source is copied.

use std::path::{Path, PathBuf};

use crate::copy::select::{Conflict, Filter, Links, Names, Selection, Shard};
use crate::error::{Error, Kind};

/// Options about names.
#[derive(Debug, clap::Args)]
pub(super) struct SelectionArgs {
    /// Copy only what matches; relative to SRC, may be repeated: '*.jpg', 'train/**/*.json', 'raw/'
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave what matches, even if it is included; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Copy the names in this file, one a line and relative to SRC (- for standard input), or the failures of a --report
    #[arg(long, value_name = "FILE")]
    files_from: Option<String>,
    /// The names in --files-from end with NUL instead of line ends
    #[arg(long, requires = "files_from")]
    null: bool,
    /// Copy share I of N: workers that each take another share copy everything once
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// What links in a source folder are
    #[arg(long, default_value = "follow", value_name = "WHAT",
          value_parser = clap::builder::PossibleValuesParser::new(["follow", "skip", "error"]))]
    links: String,
    /// What happens to keys that cannot be placed on a disk
    #[arg(long, default_value = "fail", value_name = "WHAT",
          value_parser = clap::builder::PossibleValuesParser::new(["fail", "skip", "encode", "abort"]))]
    conflict: String,
}

impl SelectionArgs {
    /// Puts what was asked for into the selection.
    ///
    /// # Errors
    /// A pattern that cannot be used.
    pub(super) fn apply(&self, selection: &mut Selection, directory: &Path) -> Result<(), Error> {
        let unusable = |reason| Error::new(Kind::Usage, reason);
        selection.filter = Filter::new(&self.include, &self.exclude).map_err(unusable)?;
        selection.names = self.names_path(directory).map(|path| Names { path, null: self.null });
        selection.shard = self.shard;
        selection.links = match self.links.as_str() {
            "skip" => Links::Skip,
            "error" => Links::Error,
            _ => Links::Follow,
        };
        selection.conflict = match self.conflict.as_str() {
            "skip" => Conflict::Skip,
            "encode" => Conflict::Encode,
            "abort" => Conflict::Abort,
            _ => Conflict::Fail,
        };
        Ok(())
    }

    /// The option that chooses among names, if any: a stream has none.
    pub(super) fn about_names(&self) -> Option<&'static str> {
        let asked = [
            ("--include", !self.include.is_empty()),
            ("--exclude", !self.exclude.is_empty()),
            ("--files-from", self.files_from.is_some()),
            ("--shard", self.shard.is_some()),
        ];
        asked.into_iter().find_map(|(option, is_asked)| is_asked.then_some(option))
    }

    fn names_path(&self, directory: &Path) -> Option<Option<PathBuf>> {
        self.files_from.as_ref().map(|path| (path != "-").then(|| directory.join(path)))
    }
}
