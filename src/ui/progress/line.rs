//! The progress line: bytes, files, rate and time left, as they are now and not on average.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ui::progress::counters::Snapshot;
use crate::ui::text;

/// The rate is that of so much time; shorter, and the time left jumps about.
const WINDOW: Duration = Duration::from_secs(10);

/// So many files in a window, and their number tells how long the rest will take.
const MANY: u64 = 20;

/// Seconds; what would take longer stands still.
const FOR_EVER: f64 = 1e9;

/// Remembers what was moved of late.
#[derive(Debug, Default)]
pub(super) struct Meter {
    samples: VecDeque<(Duration, u64, u64)>,
}

/// Where the copy is heading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// Bytes a second.
    pub(super) rate: f64,
    /// Until the end; `None` while the totals may grow or nothing moves.
    pub(super) left: Option<Duration>,
}

impl Meter {
    /// Takes a look at the counters, that long after the start.
    pub(super) fn estimate(&mut self, seen: &Snapshot, elapsed: Duration) -> Estimate {
        if self.samples.is_empty() {
            self.samples.push_back((Duration::ZERO, 0, 0));
        }
        let ended = seen.files + seen.failed;
        self.samples.push_back((elapsed, seen.bytes, ended));
        while self.samples.len() > 2 && self.samples.get(1).is_some_and(|(at, ..)| elapsed.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        let (from, bytes, files) = self.samples.front().copied().unwrap_or_default();
        let seconds = elapsed.saturating_sub(from).as_secs_f64().max(0.001);
        let moved = seen.bytes.saturating_sub(bytes) as f64 / seconds;
        let arrived = ended.saturating_sub(files);
        // A few large files arrive too seldom to say anything; of many small ones it is the number that takes the time.
        let by_files =
            if arrived < MANY { 0.0 } else { part(seen.total_files.saturating_sub(ended), arrived as f64 / seconds) };
        let left = part(seen.total_bytes.saturating_sub(seen.bytes), moved).max(by_files);
        let is_known = seen.is_scanned && left > 0.0 && left < FOR_EVER;
        Estimate { rate: moved, left: is_known.then(|| Duration::from_secs_f64(left)) }
    }
}

/// Seconds for what is left at that rate.
fn part(left: u64, rate: f64) -> f64 {
    if left == 0 { 0.0 } else { left as f64 / rate }
}

/// The line as people read it; `~` before totals that may still grow.
pub(super) fn text(seen: &Snapshot, estimate: &Estimate) -> String {
    let about = if seen.is_scanned { "" } else { "~" };
    let mut line = format!(
        "{}/{about}{}, {}/{about}{}, {}/s",
        text::bytes(seen.bytes),
        text::bytes(seen.total_bytes),
        seen.files,
        text::count(seen.total_files, "file"),
        text::bytes(estimate.rate as u64),
    );
    if let Some(left) = estimate.left {
        line.push_str(&format!(", {} left", text::duration(left)));
    }
    for (count, name) in [(seen.skipped, "skipped"), (seen.failed, "failed")] {
        if count > 0 {
            line.push_str(&format!(", {count} {name}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Estimate, Meter, Snapshot, text};

    const MIB: u64 = 1 << 20;

    #[test]
    fn marks_totals_that_may_grow() {
        let mut seen = Snapshot { bytes: 1024, total_bytes: 3072, total_files: 1, skipped: 2, ..Snapshot::default() };
        let estimate = Meter::default().estimate(&seen, Duration::from_secs(1));
        assert_eq!(text(&seen, &estimate), "1.00 KiB/~3.00 KiB, 0/~1 file, 1.00 KiB/s, 2 skipped");
        seen.is_scanned = true;
        seen.failed = 1;
        let estimate = Estimate { rate: 1024.0, left: Some(Duration::from_secs(2)) };
        assert_eq!(text(&seen, &estimate), "1.00 KiB/3.00 KiB, 0/1 file, 1.00 KiB/s, 2.00 s left, 2 skipped, 1 failed");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        let mut seen = Snapshot { total_bytes: 1000 * MIB, total_files: 1, is_scanned: true, ..Snapshot::default() };
        for second in 1..=30 {
            seen.bytes += if second <= 15 { 10 * MIB } else { MIB };
            meter.estimate(&seen, Duration::from_secs(second));
        }
        let estimate = meter.estimate(&seen, Duration::from_secs(30));
        assert!((estimate.rate - MIB as f64).abs() < 1.0, "{estimate:?}");
        assert_eq!(estimate.left.map(|left| left.as_secs()), Some(1000 - 165));
        let stalled = meter.estimate(&seen, Duration::from_secs(60));
        assert_eq!((stalled.rate as u64, stalled.left), (0, None), "what stands still has no end");
    }
}
