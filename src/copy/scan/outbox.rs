//! Between the scan and the copy: what is found goes over in batches, so that what a change of tasks costs is shared.

use tokio::sync::mpsc::Sender;

use crate::copy::report::{Line, Report, Status};
use crate::copy::scan::Item;
use crate::copy::select::{Seen, Selection};
use std::sync::Arc;

/// Items that go from the scan to the copy together.
pub const BATCH: usize = 64;

/// Batches that may wait between the scan and the copy.
pub const WAITING: usize = 16;

/// Skipped files and seen names that are told of together.
const COUNTED: usize = 4096;

/// The scan's end of the channel: collects items into batches. What is left must be sent with a flush at the end.
#[derive(Debug)]
pub struct Outbox {
    sender: Sender<Vec<Item>>,
    pending: Vec<Item>,
    // Items that go over together: few at first, so that the copy begins at once.
    together: usize,
    skipped_files: u64,
    skipped_bytes: u64,
    report: Option<Arc<Report>>,
    seen: Option<Arc<Seen>>,
    hashes: Vec<u64>,
}

/// The copy ended; nothing more need be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NobodyListens;

impl Outbox {
    /// An outbox before this channel.
    pub fn new(sender: Sender<Vec<Item>>, selection: &Selection) -> Self {
        let (report, seen) = (selection.report.clone(), selection.seen.clone());
        Self { sender, pending: Vec::new(), together: 1, skipped_files: 0, skipped_bytes: 0, report, seen, hashes: Vec::new() }
    }

    /// Takes an item; true when the batch should be sent. The first are small, so that the copy begins at once.
    pub fn push(&mut self, item: Item) -> bool {
        self.pending.push(item);
        self.pending.len() >= self.together
    }

    /// Counts a file that need not be copied; true when the batch should be sent.
    pub fn skip(&mut self, name: &str, bytes: u64, reason: &'static str) -> bool {
        if let Some(report) = &self.report {
            report.record(&Line { bytes: Some(bytes), reason: Some(reason), ..Line::new(name, Status::Skipped) });
        }
        self.skipped_files += 1;
        self.skipped_bytes += bytes;
        self.skipped_files >= COUNTED as u64
    }

    /// Takes down that the source has something of this hash (see [`Seen`]).
    pub fn saw(&mut self, hash: impl FnOnce() -> u64) {
        if let Some(seen) = &self.seen {
            self.hashes.push(hash());
            if self.hashes.len() >= COUNTED {
                seen.add(&mut self.hashes);
            }
        }
    }

    /// Sends what was collected, from a thread that may block.
    ///
    /// # Errors
    /// [`NobodyListens`].
    pub fn flush_blocking(&mut self) -> Result<(), NobodyListens> {
        match self.batch() {
            empty if empty.is_empty() => Ok(()),
            batch => self.sender.blocking_send(batch).map_err(|_| NobodyListens),
        }
    }

    /// Sends what was collected.
    ///
    /// # Errors
    /// [`NobodyListens`].
    pub async fn flush(&mut self) -> Result<(), NobodyListens> {
        match self.batch() {
            empty if empty.is_empty() => Ok(()),
            batch => self.sender.send(batch).await.map_err(|_| NobodyListens),
        }
    }

    fn batch(&mut self) -> Vec<Item> {
        if let Some(seen) = &self.seen {
            seen.add(&mut self.hashes);
        }
        self.together = (self.together * 2).min(BATCH);
        let mut batch = std::mem::take(&mut self.pending);
        if self.skipped_files > 0 {
            batch.push(Item::Skipped { files: self.skipped_files, bytes: self.skipped_bytes });
            (self.skipped_files, self.skipped_bytes) = (0, 0);
        }
        batch
    }
}
