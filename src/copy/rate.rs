//! A limit per second, shared by the whole run.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives leave to so many units a second, in the order of asking. Units may be bytes or requests.
#[derive(Debug)]
pub struct Rate {
    per_second: f64,
    // When what was given so far is used up.
    free: Mutex<Instant>,
}

/// What was not used is kept for so long, so that a short pause is made up for.
const KEPT: Duration = Duration::from_millis(50);

impl Rate {
    /// A limit of so many units a second.
    pub fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1) as f64, free: Mutex::new(Instant::now()) }
    }

    /// Waits until so many units may be used.
    pub async fn take(&self, units: u64) {
        let due = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let due = (*free).max(now.checked_sub(KEPT).unwrap_or(now));
            *free = due + Duration::from_secs_f64(units as f64 / self.per_second);
            due
        };
        tokio::time::sleep_until(due).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Rate;

    #[tokio::test]
    async fn keeps_to_the_limit_whoever_asks() {
        let rate = std::sync::Arc::new(Rate::new(10_000));
        let begun = Instant::now();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let rate = std::sync::Arc::clone(&rate);
                tokio::spawn(async move {
                    for _ in 0..10 {
                        rate.take(50).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // 5,000 units, of which the last are given before they are used up.
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(440), "{took:?}");
    }
}
