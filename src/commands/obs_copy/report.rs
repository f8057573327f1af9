//! What a copy comes to, for people and for programs.

use serde_json::{Value, json};

use crate::copy::Summary;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Present, Table, text};

/// The summary with what was asked for.
pub(super) struct Report {
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) summary: Summary,
    pub(super) deleted: u64,
}

impl Report {
    /// The line at the end.
    pub(super) fn sentence(&self) -> String {
        let Summary { files, bytes, elapsed, checks, failed, not_deleted, skipped, .. } = &self.summary;
        let seconds = elapsed.as_secs_f64();
        let rate = text::bytes((*bytes as f64 / seconds.max(0.001)) as u64);
        let checked = if *files == 0 { String::new() } else { format!("; checked by {}", checks.describe()) };
        let skipped = if *skipped == 0 { String::new() } else { format!("; {skipped} skipped") };
        let deleted = if self.deleted == 0 { String::new() } else { format!("; {} deleted", self.deleted) };
        let failed = if *failed == 0 { String::new() } else { format!("; {failed} failed") };
        let kept = if *not_deleted == 0 { String::new() } else { format!("; {not_deleted} not deleted") };
        let moved = format!("{}, {} in {seconds:.2} s ({rate}/s)", text::count(*files, "file"), text::bytes(*bytes));
        format!("{moved}{checked}{skipped}{deleted}{failed}{kept}")
    }

    /// Lists what failed; an error if anything did.
    pub(super) fn into_result(self, ctx: &Ctx) -> Result<(), Error> {
        for failure in &self.summary.failures {
            ctx.ui.note(&format!("failed: [{}]: {}", failure.name, failure.error));
        }
        match verdict(&self.summary) {
            None => Ok(()),
            Some((message, hint)) => Err(Error::new(Kind::Partial, message).hint(hint)),
        }
    }
}

/// What was not done, and what to do about it. Nothing is deleted unless everything was copied.
fn verdict(summary: &Summary) -> Option<(String, &'static str)> {
    let Summary { files, failed, not_deleted, .. } = *summary;
    match (failed, not_deleted) {
        (0, 0) => None,
        (0, _) => Some((
            format!("{} that the source does not have {} not deleted", text::count(not_deleted, "file"), were(not_deleted)),
            "everything was copied; run the same command again after putting the causes right",
        )),
        _ => Some((
            format!("{failed} of {} {} not copied", text::count(files + failed, "file"), were(failed)),
            "the rest was copied; run the same command again after putting the causes right",
        )),
    }
}

fn were(number: u64) -> &'static str {
    if number == 1 { "was" } else { "were" }
}

impl Present for Report {
    fn table(&self) -> Table {
        let failures = self.summary.failures.iter();
        Table {
            rows: failures.map(|failure| vec![failure.name.clone(), failure.error.to_string()]).collect(),
            ..Table::new(["name", "error"])
        }
    }

    fn document(&self) -> Value {
        let Summary { files, folders, bytes, elapsed, checks, failed, not_deleted, failures, skipped, skipped_bytes } =
            &self.summary;
        let failures: Vec<Value> =
            failures.iter().map(|failure| json!({"name": failure.name, "error": failure.error.to_string()})).collect();
        json!({
            "source": self.source,
            "destination": self.destination,
            "files": files,
            "folders": folders,
            "bytes": bytes,
            "seconds": (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            "checked": {"md5": checks.md5, "crc": checks.crc, "size": checks.size, "none": checks.none},
            "skipped": skipped,
            "skipped_bytes": skipped_bytes,
            "deleted": self.deleted,
            "failed": failed,
            "not_deleted": not_deleted,
            "failures": failures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;
    use crate::copy::{Error, Summary};

    #[test]
    fn a_failed_deletion_is_no_failed_copy() {
        let mut summary = Summary { files: 3, ..Summary::default() };
        assert_eq!(verdict(&summary), None);
        summary.fail_deletion("extra".to_owned(), Error::Cancelled);
        assert_eq!((summary.failed, summary.not_deleted, summary.failures.len(), summary.is_complete()), (0, 1, 1, false));
        let (message, hint) = verdict(&summary).unwrap();
        assert_eq!(message, "1 file that the source does not have was not deleted");
        assert!(hint.starts_with("everything was copied"), "{hint}");
        let mut summary = Summary { files: 3, ..Summary::default() };
        summary.fail("a".to_owned(), Error::Cancelled);
        assert_eq!(verdict(&summary).unwrap().0, "1 of 4 files was not copied");
    }
}
