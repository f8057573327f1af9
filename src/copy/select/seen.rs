//! What a source was seen to have: eight bytes a name.

use std::sync::{Mutex, PoisonError};

use crate::copy::select::hash::hash;

/// The names that a scan came upon, as hashes. Two names with the same hash make one of them look present: then too little is
/// deleted, never too much.
#[derive(Debug, Default)]
pub struct Seen {
    hashes: Mutex<Vec<u64>>,
}

impl Seen {
    /// Takes down names.
    pub fn add(&self, hashes: &mut Vec<u64>) {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).append(hashes);
    }

    /// The hash of a file's name.
    pub fn file(name: &str) -> u64 {
        hash(name.as_bytes())
    }

    /// The hash of a folder's name.
    pub fn folder(name: &str) -> u64 {
        let mut key = String::with_capacity(name.len() + 1);
        key.push_str(name);
        key.push('/');
        hash(key.as_bytes())
    }

    /// Makes it ready to be asked; what is asked next.
    pub fn sorted(&self) -> Sorted {
        let mut hashes = std::mem::take(&mut *self.hashes.lock().unwrap_or_else(PoisonError::into_inner));
        hashes.sort_unstable();
        Sorted(hashes)
    }
}

/// Names that can be asked for.
#[derive(Debug)]
pub struct Sorted(Vec<u64>);

impl Sorted {
    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a hash was seen.
    pub fn has(&self, hash: u64) -> bool {
        self.0.binary_search(&hash).is_ok()
    }
}
