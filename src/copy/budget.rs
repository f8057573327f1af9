//! The one limiter of a run: a permit is one request in flight and leave to hold so many bytes.
//!
//! A permit is taken **before** bytes are read, from disk or from the network, and held until the request is over. So the memory
//! of a run is
//!
//! ```text
//! program and runtime (about 16 MiB) + memory (24 MiB) + 24 KiB for each job, and 128 KiB for each that streams (10 MiB)
//! ```
//!
//! whatever the number of files or their sizes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::copy::pace::Pace;
use crate::copy::rate::Rate;

/// Requests in flight at most, unless asked otherwise. Enough to hide 20 ms of latency from 10,000 small files a second.
pub const SLOTS: usize = 256;

/// Requests that stream at the same time with the usual memory.
const STREAMS: usize = 32;

/// Bytes that move as one piece between disk and connection: large enough that a system call and a thread change cost little
/// beside the copying, small enough that all slots together need only [`MEMORY`].
pub const PIECE: usize = 256 * 1024;

/// What a request that streams holds: the piece being read, the one queued, the one being written to the socket.
pub const STREAM: u64 = 3 * PIECE as u64;

/// Bytes held in all, unless asked otherwise.
pub const MEMORY: u64 = STREAMS as u64 * STREAM;

// Semaphores count in units of a kibibyte, because their permits are 32 bits wide.
const UNIT: u64 = 1024;

/// Limits requests and bytes of one run; clones share the limits.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    slots: Arc<Semaphore>,
    units: Arc<Semaphore>,
    all_units: u32,
    pace: Pace,
    // Slots that the semaphore has or has lent.
    issued: Mutex<usize>,
    requests: Option<Arc<Rate>>,
    throttled: Box<dyn Counter>,
}

/// Counts how often the store asked for less.
pub trait Counter: std::fmt::Debug + Send + Sync {
    /// The number so far.
    fn count(&self) -> u64;
}

/// Leave to make one request and to hold its bytes; gives both back when dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    slot: Option<OwnedSemaphorePermit>,
    _units: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    since: Instant,
}

impl Budget {
    /// A budget of so many requests and bytes, at least one request that streams. How many of the requests are really in
    /// flight at once follows the [`Pace`].
    pub fn new(slots: usize, memory: u64, requests: Option<Arc<Rate>>, throttled: Box<dyn Counter>) -> Self {
        let all_units = u32::try_from(memory.max(STREAM).div_ceil(UNIT)).unwrap_or(u32::MAX / 2);
        let pace = Pace::new(slots.clamp(1, Semaphore::MAX_PERMITS), Instant::now());
        let issued = pace.limit();
        let shared = Shared {
            slots: Arc::new(Semaphore::new(issued)),
            units: Arc::new(Semaphore::new(all_units as usize)),
            all_units,
            pace,
            issued: Mutex::new(issued),
            requests,
            throttled,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for its turn. More bytes than there are in all are cut down to all.
    pub async fn permit(&self, bytes: u64) -> Permit {
        let shared = &self.shared;
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, shared.all_units);
        let slot = match Arc::clone(&shared.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                let _waiting = shared.pace.waiting();
                Arc::clone(&shared.slots).acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        let units = Arc::clone(&shared.units).acquire_many_owned(units).await.expect("the semaphore is never closed");
        if let Some(until) = shared.pace.paused_until(Instant::now()) {
            tokio::time::sleep_until(until.into()).await;
        }
        if let Some(requests) = &shared.requests {
            requests.take(1).await;
        }
        Permit { slot: Some(slot), _units: units, shared: Arc::clone(shared), since: Instant::now() }
    }

    /// Bytes moved: what the pace is judged by.
    pub fn moved(&self, bytes: u64) {
        let limit = self.shared.pace.moved(bytes, Instant::now());
        self.shared.lend_up_to(limit);
    }
}

impl Shared {
    /// Gives out the slots that the limit has gained.
    fn lend_up_to(&self, limit: usize) {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if *issued < limit {
            self.slots.add_permits(limit - *issued);
            *issued = limit;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let shared = &self.shared;
        let limit = shared.pace.finished(self.since.elapsed(), shared.throttled.count(), Instant::now());
        shared.lend_up_to(limit);
        let mut issued = shared.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if *issued > limit {
            *issued -= 1;
            if let Some(slot) = self.slot.take() {
                slot.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Counter, STREAM};

    #[derive(Debug)]
    struct Never;

    impl Counter for Never {
        fn count(&self) -> u64 {
            0
        }
    }

    #[tokio::test]
    async fn limits_requests_and_bytes() {
        let budget = Budget::new(3, STREAM, None, Box::new(Never));
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
