//! What is counted while a copy runs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::copy::event::Event;

/// Counted by many tasks at once.
#[derive(Debug, Default)]
pub(super) struct Counters {
    found_files: AtomicU64,
    found_bytes: AtomicU64,
    is_scanned: AtomicBool,
    files: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    moved: AtomicI64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Bytes that were moved.
    pub(super) bytes: u64,
    /// Files that arrived.
    pub(super) files: u64,
    /// Bytes to move; may grow until the listing ends.
    pub(super) total_bytes: u64,
    /// Files to move; may grow until the listing ends.
    pub(super) total_files: u64,
    /// Files that needed no copy.
    pub(super) skipped: u64,
    /// Files that failed.
    pub(super) failed: u64,
    /// Whether the totals are final.
    pub(super) is_scanned: bool,
}

impl Counters {
    pub(super) fn count(&self, event: &Event) {
        let add = |counter: &AtomicU64, amount| _ = counter.fetch_add(amount, Ordering::Relaxed);
        match event {
            Event::Found { bytes } => {
                add(&self.found_files, 1);
                add(&self.found_bytes, *bytes);
            }
            Event::Skipped { files, .. } => add(&self.skipped, *files),
            Event::ScanDone => self.is_scanned.store(true, Ordering::Relaxed),
            Event::Moved(bytes) => _ = self.moved.fetch_add(*bytes, Ordering::Relaxed),
            Event::Finished { .. } => add(&self.files, 1),
            Event::Failed { .. } => add(&self.failed, 1),
            Event::Kept { .. } | Event::Notice(_) => {}
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            bytes: u64::try_from(self.moved.load(Ordering::Relaxed)).unwrap_or(0),
            files: read(&self.files),
            total_bytes: read(&self.found_bytes),
            total_files: read(&self.found_files),
            skipped: read(&self.skipped),
            failed: read(&self.failed),
            is_scanned: self.is_scanned.load(Ordering::Relaxed),
        }
    }
}
