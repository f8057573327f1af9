//! One at a time does what many need; those who waited for it share its failure too.

use std::sync::{Mutex as Plain, PoisonError};

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::auth::Error;

/// Lets one caller at a time ask a service.
#[derive(Debug, Default)]
pub(in crate::auth) struct Flight {
    asking: Mutex<()>,
    /// When the last failure came, and which.
    failed: Plain<Option<(Instant, Error)>>,
}

/// The right to ask, until it is dropped.
#[derive(Debug)]
pub(in crate::auth) struct Turn<'a> {
    flight: &'a Flight,
    _asking: MutexGuard<'a, ()>,
}

impl Flight {
    /// The turn of whoever comes when nobody asks.
    pub(in crate::auth) fn free(&self) -> Option<Turn<'_>> {
        let asking = self.asking.try_lock().ok()?;
        Some(Turn { flight: self, _asking: asking })
    }

    /// Waits for one's turn. What whoever was waited for has got is to be looked at first.
    ///
    /// # Errors
    /// The failure of whoever was waited for: asking once more for each who waits would only take as long again, and services count
    /// wrong passwords.
    pub(in crate::auth) async fn turn(&self) -> Result<Turn<'_>, Error> {
        let begun = Instant::now();
        let asking = self.asking.lock().await;
        match &*self.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((at, error)) if *at > begun => Err(error.duplicate()),
            _ => Ok(Turn { flight: self, _asking: asking }),
        }
    }
}

impl Turn<'_> {
    /// Keeps the failure for those who wait, and gives it back.
    pub(in crate::auth) fn failed(&self, error: Error) -> Error {
        let shared = (Instant::now(), error.duplicate());
        *self.flight.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
        error
    }
}
