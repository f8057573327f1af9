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
        let Summary { files, bytes, elapsed, checks, failed, skipped, .. } = &self.summary;
        let seconds = elapsed.as_secs_f64();
        let rate = text::bytes((*bytes as f64 / seconds.max(0.001)) as u64);
        let checked = if *files == 0 { String::new() } else { format!("; checked by {}", checks.describe()) };
        let skipped = if *skipped == 0 { String::new() } else { format!("; {skipped} skipped") };
        let deleted = if self.deleted == 0 { String::new() } else { format!("; {} deleted", self.deleted) };
        let failed = if *failed == 0 { String::new() } else { format!("; {failed} failed") };
        format!("{files} files, {} in {seconds:.2} s ({rate}/s){checked}{skipped}{deleted}{failed}", text::bytes(*bytes))
    }

    /// Lists what failed; an error if anything did.
    pub(super) fn into_result(self, ctx: &Ctx) -> Result<(), Error> {
        let Summary { files, failed, failures, .. } = self.summary;
        if failed == 0 {
            return Ok(());
        }
        for failure in &failures {
            ctx.ui.note(&format!("failed: [{}]: {}", failure.name, failure.error));
        }
        let hint = "the rest was copied; run the same command again after putting the causes right";
        Err(Error::new(Kind::Partial, format!("{failed} of {} files were not copied", files + failed)).hint(hint))
    }
}

impl Present for Report {
    fn table(&self) -> Table {
        let failures = self.summary.failures.iter();
        Table {
            columns: vec!["name", "error"],
            rows: failures.map(|failure| vec![failure.name.clone(), failure.error.to_string()]).collect(),
        }
    }

    fn document(&self) -> Value {
        let Summary { files, folders, bytes, elapsed, checks, failed, failures, skipped, skipped_bytes } = &self.summary;
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
            "failures": failures,
        })
    }
}
