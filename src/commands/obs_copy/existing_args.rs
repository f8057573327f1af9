//! What happens to what is at the destination already, and what is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::copy::Plan;
use crate::copy::report::Report;
use crate::copy::select::{Compare, Existing, Seen, Selection};
use crate::error::Error;

/// Options about the destination.
#[derive(Debug, clap::Args)]
pub(super) struct ExistingArgs {
    /// Copy only what is missing, has another size, or is newer (by the time it was last written)
    #[arg(short, long, conflicts_with = "no_overwrite")]
    update: bool,
    /// As --update, but whatever the times are
    #[arg(long, conflicts_with_all = ["no_overwrite", "checksum"])]
    size_only: bool,
    /// As --update, but by MD5 instead of time; reads every local file
    #[arg(long, conflicts_with = "no_overwrite")]
    checksum: bool,
    /// Leave what exists at the destination, whatever it is
    #[arg(long)]
    no_overwrite: bool,
    /// Then delete what the source does not have; asks first. Excluded names are left alone
    #[arg(long, conflicts_with = "files_from")]
    delete: bool,
    /// Print what would be done, do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write what became of each object to this file, as JSON Lines
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    report: Option<PathBuf>,
}

impl ExistingArgs {
    /// Puts what was asked for into the selection, but for the report.
    pub(super) fn apply(&self, selection: &mut Selection) {
        selection.existing = match (self.no_overwrite, self.size_only, self.checksum, self.update) {
            (true, ..) => Existing::Keep,
            (_, true, ..) => Existing::Update(Compare::Size),
            (_, _, true, _) => Existing::Update(Compare::Checksum),
            (_, _, _, true) => Existing::Update(Compare::Time),
            _ => Existing::Replace,
        };
        selection.seen = self.delete.then(|| Arc::new(Seen::default()));
    }

    /// Begins the report, which replaces an older one: only when all else is known to be in order.
    ///
    /// # Errors
    /// The report cannot be written, or is a part of what is copied.
    pub(super) fn begin_report(&self, selection: &mut Selection, plan: &Plan, directory: &Path) -> Result<(), Error> {
        if let Some(path) = &self.report {
            let names = selection.names.as_ref().and_then(|names| names.path.as_deref());
            selection.report = Some(Arc::new(Report::create(&directory.join(path), names, plan)?));
        }
        Ok(())
    }

    /// The option about what is at the destination, or what is told of it, if any: streams know none of them.
    pub(super) fn about_destination(&self) -> Option<&'static str> {
        let asked = [
            ("--update", self.update),
            ("--size-only", self.size_only),
            ("--checksum", self.checksum),
            ("--no-overwrite", self.no_overwrite),
            ("--delete", self.delete),
            ("--dry-run", self.dry_run),
            ("--report", self.report.is_some()),
        ];
        asked.into_iter().find_map(|(option, is_asked)| is_asked.then_some(option))
    }

    /// Whether nothing is to be done.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}
