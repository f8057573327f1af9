//! What an attempt moved, and file work off the async threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::copy::budget::Budget;
use crate::copy::error::Error;
use crate::copy::event::{Event, EventSink};
use crate::copy::run::Run;

/// Counts the bytes that an attempt moved, and takes them back unless they are kept.
#[derive(Debug)]
pub(super) struct Meter {
    budget: Budget,
    events: Arc<dyn EventSink>,
    moved: AtomicI64,
}

impl Meter {
    pub(super) fn new(run: &Run) -> Arc<Self> {
        Arc::new(Self { budget: run.budget.clone(), events: Arc::clone(&run.events), moved: AtomicI64::new(0) })
    }

    pub(super) fn add(&self, bytes: usize) {
        self.budget.moved(bytes as u64);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
        self.events.event(Event::Moved(bytes));
    }

    /// The attempt succeeded: its bytes count.
    pub(super) fn keep(&self) {
        self.moved.store(0, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let moved = self.moved.load(Ordering::Relaxed);
        if moved != 0 {
            self.events.event(Event::Moved(-moved));
        }
    }
}

/// Runs file work off the async threads.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::local("work on", "", std::io::Error::other(error))),
    }
}
