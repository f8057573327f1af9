//! The one limiter of a run: a permit is one request in flight and leave to hold so many bytes.
//!
//! A permit is taken **before** bytes are read, from disk or from the network, and held until the request is over. So the memory
//! of a run is
//!
//! ```text
//! program and runtime (about 20 MiB) + memory (24 MiB) + jobs x 2 x 128 KiB of connection buffers (8 MiB)
//! ```
//!
//! whatever the number of files or their sizes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests in flight, unless asked otherwise.
pub const SLOTS: usize = 32;

/// Bytes that move as one piece between disk and connection: large enough that a system call and a thread change cost little
/// beside the copying, small enough that all slots together need only [`MEMORY`].
pub const PIECE: usize = 256 * 1024;

/// What a request that streams holds: the piece being read, the one queued, the one being written to the socket.
pub const STREAM: u64 = 3 * PIECE as u64;

/// Bytes held in all, unless asked otherwise: every slot can stream.
pub const MEMORY: u64 = SLOTS as u64 * STREAM;

// Semaphores count in units of a kibibyte, because their permits are 32 bits wide.
const UNIT: u64 = 1024;

/// Limits requests and bytes of one run; clones share the limits.
#[derive(Clone, Debug)]
pub struct Budget {
    slots: Arc<Semaphore>,
    units: Arc<Semaphore>,
    all_units: u32,
}

/// Leave to make one request and to hold its bytes; gives both back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
    _units: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of so many requests and bytes, at least one request that streams.
    pub fn new(slots: usize, memory: u64) -> Self {
        let all_units = u32::try_from(memory.max(STREAM).div_ceil(UNIT)).unwrap_or(u32::MAX / 2);
        let slots = slots.clamp(1, Semaphore::MAX_PERMITS);
        Self { slots: Arc::new(Semaphore::new(slots)), units: Arc::new(Semaphore::new(all_units as usize)), all_units }
    }

    /// Waits for its turn. More bytes than there are in all are cut down to all.
    pub async fn permit(&self, bytes: u64) -> Permit {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.all_units);
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        let units = Arc::clone(&self.units).acquire_many_owned(units).await.expect("the semaphore is never closed");
        Permit { _slot: slot, _units: units }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, STREAM};

    #[tokio::test]
    async fn limits_requests_and_bytes() {
        let budget = Budget::new(3, STREAM);
        let first = budget.permit(STREAM - 1024).await;
        let second = budget.permit(1).await;
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.permit(2048).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "no bytes are left");
        drop(first);
        let third = waiting.await.unwrap();
        let fourth = budget.permit(1).await;
        let last = tokio::spawn({
            let budget = budget.clone();
            async move { budget.permit(u64::MAX).await }
        });
        tokio::task::yield_now().await;
        assert!(!last.is_finished(), "no slot is left");
        drop((second, third, fourth));
        drop(last.await.unwrap());
    }
}
