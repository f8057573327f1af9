//! The progress line of a copy: after a moment, a few times a second, only where somebody looks.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::copy::event::{Event, EventSink};
use crate::ui::{Ui, text};

/// What is over sooner needs no progress line.
const PATIENCE: Duration = Duration::from_millis(250);

/// Time between two drawings: ten a second.
const INTERVAL: Duration = Duration::from_millis(100);

/// Draws the progress of a copy on standard error. Removed from the terminal when dropped.
#[derive(Debug)]
pub struct CopyProgress {
    bar: Option<ProgressBar>,
    started: Instant,
    drawn_millis: AtomicU64,
    found_files: AtomicU64,
    found_bytes: AtomicU64,
    is_scanned: AtomicBool,
    files: AtomicU64,
    failed: AtomicU64,
    moved: AtomicI64,
}

impl Ui {
    /// A progress line, if standard error is a terminal and `--no-progress` was not given; else one that draws nothing.
    pub fn copy_progress(&self) -> CopyProgress {
        CopyProgress {
            bar: self.shows_progress().then(|| {
                let style = ProgressStyle::with_template("{wide_bar} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)).with_style(style)
            }),
            started: Instant::now(),
            drawn_millis: AtomicU64::new(0),
            found_files: AtomicU64::new(0),
            found_bytes: AtomicU64::new(0),
            is_scanned: AtomicBool::new(false),
            files: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            moved: AtomicI64::new(0),
        }
    }
}

impl CopyProgress {
    /// The line as it stands: files, bytes, rate, time left; `~` before totals that may still grow.
    fn line(&self, elapsed: Duration) -> String {
        let moved = u64::try_from(self.moved.load(Ordering::Relaxed)).unwrap_or(0);
        let total = self.found_bytes.load(Ordering::Relaxed);
        let is_scanned = self.is_scanned.load(Ordering::Relaxed);
        let about = if is_scanned { "" } else { "~" };
        let rate = moved as f64 / elapsed.as_secs_f64().max(0.001);
        let mut line = format!(
            "{}/{about}{} files, {}/{about}{}, {}/s",
            self.files.load(Ordering::Relaxed),
            self.found_files.load(Ordering::Relaxed),
            text::bytes(moved),
            text::bytes(total),
            text::bytes(rate as u64),
        );
        if is_scanned && rate >= 1.0 && total > moved {
            let left = Duration::from_secs_f64((total - moved) as f64 / rate);
            line.push_str(&format!(", {} left", text::duration(left)));
        }
        match self.failed.load(Ordering::Relaxed) {
            0 => {}
            failed => line.push_str(&format!(", {failed} failed")),
        }
        line
    }

    fn draw(&self) {
        let Some(bar) = &self.bar else { return };
        let elapsed = self.started.elapsed();
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let drawn = self.drawn_millis.load(Ordering::Relaxed);
        let is_due = elapsed >= PATIENCE && Duration::from_millis(now.saturating_sub(drawn)) >= INTERVAL;
        // Of many tasks that come at once, one draws.
        if !is_due || self.drawn_millis.compare_exchange(drawn, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        bar.set_length(self.found_bytes.load(Ordering::Relaxed));
        bar.set_position(u64::try_from(self.moved.load(Ordering::Relaxed)).unwrap_or(0));
        bar.set_message(self.line(elapsed));
    }
}

impl EventSink for CopyProgress {
    fn event(&self, event: Event) {
        match event {
            Event::Found { bytes } => {
                self.found_files.fetch_add(1, Ordering::Relaxed);
                self.found_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Event::ScanDone => self.is_scanned.store(true, Ordering::Relaxed),
            Event::Moved(bytes) => {
                self.moved.fetch_add(bytes, Ordering::Relaxed);
            }
            Event::Finished { .. } => {
                self.files.fetch_add(1, Ordering::Relaxed);
            }
            Event::Failed { .. } => {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            Event::Kept { .. } | Event::Notice(_) => {}
        }
        self.draw();
    }
}

impl Drop for CopyProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Event, EventSink as _};
    use crate::ui::{Options, Terminals, Ui};

    #[test]
    fn marks_totals_that_may_grow() {
        let progress = Ui::new(Options::default(), Terminals::default()).copy_progress();
        progress.event(Event::Found { bytes: 3072 });
        progress.event(Event::Moved(2048));
        progress.event(Event::Moved(-1024));
        assert!(progress.line(Duration::from_secs(1)).starts_with("0/~1 files, "));
        progress.event(Event::ScanDone);
        progress.event(Event::Failed { name: "a".into(), message: "b".into() });
        let line = progress.line(Duration::from_secs(1));
        assert!(line.starts_with("0/1 files, ") && line.contains(" left") && line.ends_with(", 1 failed"), "{line}");
    }
}
