//! The outcome of a copy.

use std::time::Duration;

use crate::copy::Error;
use crate::copy::digest::Check;

/// Failures beyond this many are counted but not kept, so that memory stays bounded.
pub const KEPT_FAILURES: usize = 1000;

/// Counts and failures of one copy.
#[derive(Debug, Default)]
pub struct Summary {
    /// Files that arrived.
    pub files: u64,
    /// Empty folders that were made.
    pub folders: u64,
    /// Bytes that arrived.
    pub bytes: u64,
    /// Files that need not be copied.
    pub skipped: u64,
    /// Their bytes.
    pub skipped_bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// How many files each check confirmed.
    pub checks: Checks,
    /// Number of files that were not copied, those that are not kept included.
    pub failed: u64,
    /// Number of files and folders that `--delete` could not delete.
    pub not_deleted: u64,
    /// The first [`KEPT_FAILURES`] failures of both kinds.
    pub failures: Vec<Failure>,
}

/// Files by the check that confirmed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// MD5 against the store's ETag.
    pub md5: u64,
    /// The store's CRC.
    pub crc: u64,
    /// Length, range and version only.
    pub size: u64,
    /// Nothing, as asked for.
    pub none: u64,
}

/// A file that was not copied, or not deleted.
#[derive(Debug)]
pub struct Failure {
    /// Path or key, relative to what is copied.
    pub name: String,
    /// Why.
    pub error: Error,
}

impl Summary {
    /// Counts a file that arrived.
    pub fn add(&mut self, bytes: u64, check: Check) {
        self.files += 1;
        self.bytes += bytes;
        let counter = match check {
            Check::Md5 => &mut self.checks.md5,
            Check::Crc => &mut self.checks.crc,
            Check::Size => &mut self.checks.size,
            Check::None => &mut self.checks.none,
        };
        *counter += 1;
    }

    /// Counts files that need not be copied.
    pub fn skip(&mut self, files: u64, bytes: u64) {
        self.skipped += files;
        self.skipped_bytes += bytes;
    }

    /// Counts a file that was not copied; keeps the failure while there is room.
    pub fn fail(&mut self, name: String, error: Error) {
        self.failed += 1;
        self.keep(name, error);
    }

    /// Counts what was not deleted; keeps the failure while there is room.
    pub fn fail_deletion(&mut self, name: String, error: Error) {
        self.not_deleted += 1;
        self.keep(name, error);
    }

    /// Whether everything was copied, and deleted, that should be.
    pub fn is_complete(&self) -> bool {
        self.failed + self.not_deleted == 0
    }

    fn keep(&mut self, name: String, error: Error) {
        if self.failures.len() < KEPT_FAILURES {
            self.failures.push(Failure { name, error });
        }
    }
}

impl Checks {
    /// The checks in words: `md5 12, size 3`.
    pub fn describe(&self) -> String {
        let named = [("md5", self.md5), ("crc", self.crc), ("size", self.size), ("none", self.none)];
        let used: Vec<String> =
            named.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")).collect();
        used.join(", ")
    }
}
