//! What happens during a copy, for whoever watches.

use std::fmt;

use crate::copy::digest::Check;

/// One step of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The scan found a file of that size; more may follow until [`Event::ScanDone`].
    Found {
        /// Its size in bytes.
        bytes: u64,
    },
    /// The totals are known now.
    ScanDone,
    /// Bytes were transferred; negative when they have to be sent again.
    Moved(i64),
    /// A file arrived, complete and checked.
    Finished {
        /// Path or key, relative to what is copied.
        name: String,
        /// Its size in bytes.
        bytes: u64,
        /// How it was made sure that it did.
        check: Check,
    },
    /// Files need not be copied.
    Skipped {
        /// How many.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A file failed; the rest goes on.
    Failed {
        /// Path or key, relative to what is copied.
        name: String,
        /// Why.
        message: String,
    },
    /// A large file was not finished, and the next run of the same copy need not move all of it again.
    Kept {
        /// Bytes that need not be moved again.
        bytes: u64,
        /// Bytes of the whole file.
        size: u64,
    },
    /// Something the user should know that stops nothing.
    Notice(String),
}

/// Takes events; called from many tasks at once, so it must be quick.
pub trait EventSink: fmt::Debug + Send + Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl EventSink for Silent {
    fn event(&self, _event: Event) {}
}
