//! How a copy is carried out.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::sync::Arc;

use crate::copy::budget;
use crate::copy::digest::Verify;
use crate::copy::select::Selection;

/// How a copy is carried out.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests in flight at most.
    pub jobs: usize,
    /// Size of the parts of large files in bytes; `None` to choose by file size.
    pub part_size: Option<u64>,
    /// How it is made sure that the bytes arrived.
    pub verify: Verify,
    /// Bytes of file content held in memory at most.
    pub memory: u64,
    /// Bytes a second at most, for the whole run.
    pub limit_rate: Option<NonZeroU64>,
    /// Requests a second at most, for the whole run.
    pub limit_requests: Option<NonZeroU32>,
    /// Folder of the journals that let an interrupted copy go on; `None` to begin anew each time.
    pub journal: Option<PathBuf>,
    /// Downloads are on the disk, not only in its cache, before they get their names.
    pub durable: bool,
    /// The first file that fails ends the run.
    pub fail_fast: bool,
    /// What of a file is kept in metadata of its object, and comes back.
    pub preserve: Preserve,
    /// What is copied, and what is left.
    pub selection: Arc<Selection>,
}

/// What of a file, beside its bytes, is kept in metadata of its object, and comes back from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preserve {
    /// When it was last written.
    pub modified: bool,
    /// Its permissions; never its owner, nor the bits that let it run as its owner.
    pub mode: bool,
}

impl Preserve {
    /// Whether anything is.
    pub fn is_any(self) -> bool {
        self.modified || self.mode
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: budget::SLOTS,
            part_size: None,
            verify: Verify::Auto,
            memory: budget::MEMORY,
            limit_rate: None,
            limit_requests: None,
            journal: None,
            durable: false,
            fail_fast: false,
            preserve: Preserve::default(),
            selection: Arc::default(),
        }
    }
}

impl Options {
    /// Requests in flight at most. A limited rate is not divided among so many that each would seem to stand still.
    pub(crate) fn slots(&self) -> usize {
        let fits = self.limit_rate.map_or(u64::MAX, |rate| rate.get() / budget::PIECE as u64);
        self.jobs.min(usize::try_from(fits).unwrap_or(usize::MAX)).max(1)
    }
}
