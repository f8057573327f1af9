//! Buffers that are used again: a fresh one of this size costs as many page faults as it has pages.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::copy::budget::{MEMORY, PIECE};

/// Buffers kept at most: all that the budget usually allows, because memory that comes and goes is left in pieces.
const SPARE: usize = (MEMORY / PIECE as u64) as usize;

/// Buffers of [`PIECE`] bytes for a run; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Pool {
    /// An empty buffer with room for a piece.
    pub(super) fn take(&self) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(PIECE))
    }

    /// Keeps a buffer for the next one who needs it, unless it is smaller than a piece.
    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() < PIECE {
            return;
        }
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// The bytes in a buffer, which comes back when the last of them is dropped.
    pub(super) fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { bytes, pool: self.clone() })
    }
}

struct Lent {
    bytes: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;

    #[test]
    fn lent_buffers_come_back() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.extend_from_slice(b"bytes");
        let spare = || pool.spare.lock().unwrap().len();
        let lent = pool.lend(buffer);
        let slice = lent.slice(1..3);
        drop(lent);
        assert_eq!((spare(), &slice[..]), (0, &b"yt"[..]), "a part of it is still in use");
        drop(slice);
        assert_eq!(spare(), 1);
        pool.give_back(Vec::with_capacity(10));
        assert_eq!(spare(), 1, "too small to be of use");
        assert!(pool.take().is_empty());
    }
}
