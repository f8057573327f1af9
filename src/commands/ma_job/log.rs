//! The log of a task, printed whole or as it grows; survives rotation, restarts of the task and passing outages.

use serde_json::Value;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, LogPreview, TrainingJob};
use crate::commands::ma_job::watch::{Rhythm, interrupted};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Present, Table};

/// A log that is printed as it grows.
pub(super) struct Log<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) api: &'a Api,
    pub(super) id: &'a str,
    pub(super) task: &'a str,
    /// Bytes printed so far.
    pub(super) printed: u64,
    /// Whether it goes to standard output; with a document format only the end of the job is waited for.
    pub(super) is_text: bool,
}

impl Log<'_> {
    pub(super) fn context(&self, error: crate::api::Error) -> Error {
        Error::from(error).context(&format!("training job [{}], task [{}]", self.id, self.task))
    }

    /// Prints until the job has ended. The job is looked at before its log, so that nothing written before its end is missed.
    pub(super) async fn follow(&mut self) -> Result<(), Error> {
        let cancel = self.ctx.cancel();
        let mut rhythm = Rhythm::new();
        let first = training_job::show(self.api, self.id).await.map_err(|error| self.context(error))?;
        let mut job = Some(first);
        loop {
            let has_ended = job.as_ref().is_some_and(|job| job.phase().is_final());
            if self.is_text && self.print_if_there(job.as_ref(), has_ended).await? {
                rhythm.quicken();
            }
            if has_ended {
                return Ok(());
            }
            if !rhythm.pause(&cancel).await {
                return Err(interrupted(self.id));
            }
            job = rhythm.look(self.api, self.id).await?;
        }
    }

    /// Prints what is new; a job that has not started has no log yet, and an outage passes.
    async fn print_if_there(&mut self, job: Option<&TrainingJob>, has_ended: bool) -> Result<bool, Error> {
        let has_started = job.is_some_and(|job| job.start_time().is_some());
        match self.print_new().await {
            Err(error) if error.kind == Kind::NotFound && !has_started => Ok(false),
            Err(error) if matches!(error.kind, Kind::Network | Kind::Service | Kind::Throttled) && !has_ended => {
                tracing::debug!("waiting on: {error}");
                Ok(false)
            }
            other => other,
        }
    }

    /// Prints what was written since the last time; `false` when there was nothing.
    pub(super) async fn print_new(&mut self) -> Result<bool, Error> {
        let preview = training_job::log_preview(self.api, self.id, self.task).await.map_err(|error| self.context(error))?;
        if preview.full_size < self.printed {
            // The task was started anew, with a new log.
            self.printed = 0;
        }
        if preview.full_size == self.printed {
            return Ok(false);
        }
        if preview.start() > self.printed {
            // The preview holds the newest part only; what lies between comes from the whole log.
            match self.print_whole().await {
                Ok(()) => return Ok(true),
                Err(error) if matches!(error.kind, Kind::BrokenPipe | Kind::Local) => return Err(error),
                Err(error) => {
                    let missing = preview.start() - self.printed;
                    self.ctx
                        .ui
                        .warn(&format!("{missing} bytes of the log are left out, the whole log cannot be fetched: {error}"));
                    self.printed = preview.start();
                }
            }
        }
        self.ctx.ui.remote_text(unprinted(&preview, self.printed))?;
        self.printed = preview.full_size;
        Ok(true)
    }

    /// Prints the whole log but for what is printed already, line by line as it comes.
    async fn print_whole(&mut self) -> Result<(), Error> {
        let link = training_job::log_link(self.api, self.id, self.task).await.map_err(|error| self.context(error))?;
        let ui = &self.ctx.ui;
        let mut skip = self.printed;
        let (mut received, mut pending, mut outcome) = (0_u64, Vec::new(), Ok(()));
        let piece = |bytes: &[u8]| {
            received += bytes.len() as u64;
            let skipped = skip.min(bytes.len() as u64);
            skip -= skipped;
            pending.extend_from_slice(&bytes[usize::try_from(skipped).unwrap_or(bytes.len())..]);
            let Some(end) = pending.iter().rposition(|&byte| byte == b'\n') else { return };
            let lines: Vec<u8> = pending.drain(..=end).collect();
            if outcome.is_ok() {
                outcome = ui.remote_text(&String::from_utf8_lossy(&lines));
            }
        };
        let downloaded = self.api.download(&link, piece).await;
        outcome?;
        ui.remote_text(&String::from_utf8_lossy(&pending))?;
        self.printed = self.printed.max(received);
        downloaded.map_err(|error| self.context(error))
    }
}

/// The part of the preview that lies after the first `printed` bytes of the log.
fn unprinted(preview: &LogPreview, printed: u64) -> &str {
    let skip = usize::try_from(printed.saturating_sub(preview.start())).unwrap_or(usize::MAX);
    // A character that was cut in two counts as printed.
    (skip..=preview.content.len()).find_map(|start| preview.content.get(start..)).unwrap_or_default()
}

impl Present for LogPreview {
    fn table(&self) -> Table {
        let mut table = Table::new(["line"]);
        table.rows = self.content.lines().map(|line| vec![line.to_owned()]).collect();
        table
    }

    fn document(&self) -> Value {
        self.document.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{LogPreview, unprinted};

    #[test]
    fn only_what_is_new_is_printed() {
        // The log is ten bytes long, of which the preview holds the last six.
        let preview = LogPreview { document: json!({}), content: "abäef".to_owned(), full_size: 10 };
        assert_eq!(unprinted(&preview, 4), "abäef");
        assert_eq!(unprinted(&preview, 6), "äef");
        assert_eq!(unprinted(&preview, 7), "ef");
        assert_eq!(unprinted(&preview, 10), "");
        assert_eq!(unprinted(&preview, 99), "");
    }
}
