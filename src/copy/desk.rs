//! Joins file work of many tasks into batches, each of which costs one change of threads.
//!
//! While a batch is worked on, more jobs queue up, and the next batch takes them all: batches grow with the load, and a lone
//! job never waits. 5,000 small files took 25,000 context switches with a blocking call each.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Batches worked on at once while the disk is quick: one a core, this at most.
const QUICK: usize = 4;

/// Batches at once where the disk lets each of them wait.
const SLOW: usize = 16;

/// A batch that takes longer than this waits for the disk.
const WAITS: Duration = Duration::from_millis(5);

/// Takes jobs of one kind. Cheap to clone.
pub(super) struct Desk<J, R> {
    shared: Arc<Shared<J, R>>,
}

struct Shared<J, R> {
    work: Box<dyn Fn(Vec<J>) -> Vec<R> + Send + Sync>,
    most: usize,
    quick: usize,
    queue: Mutex<Queue<J, R>>,
}

struct Queue<J, R> {
    waiting: VecDeque<(J, oneshot::Sender<R>)>,
    workers: usize,
    // When a batch was last begun.
    begun: Instant,
}

impl<J: Send + 'static, R: Send + 'static> Desk<J, R> {
    /// A desk whose batches hold `most` jobs; `work` gives a result for each, in the same order.
    pub(super) fn new(most: usize, work: impl Fn(Vec<J>) -> Vec<R> + Send + Sync + 'static) -> Self {
        let quick = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(QUICK);
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), workers: 0, begun: Instant::now() });
        Self { shared: Arc::new(Shared { work: Box::new(work), most, quick, queue }) }
    }

    /// One worker while the disk is quick, for jobs that get in each other's way.
    pub(super) fn with_one_worker(mut self) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.quick = 1;
        }
        self
    }

    /// Has a job done; `None` when it was lost in a panic of its batch.
    pub(super) async fn submit(&self, job: J) -> Option<R> {
        self.hand_in(job).result().await
    }

    /// Queues a job; it is done whether or not somebody waits for the result.
    pub(super) fn hand_in(&self, job: J) -> Ticket<R> {
        let (sender, receiver) = oneshot::channel();
        let needs_worker = {
            let mut queue = self.shared.queue();
            queue.waiting.push_back((job, sender));
            let needs = self.shared.needs_worker(&queue);
            queue.workers += usize::from(needs);
            needs
        };
        if needs_worker {
            let shared = Arc::clone(&self.shared);
            tokio::task::spawn_blocking(move || shared.serve());
        }
        Ticket { receiver }
    }
}

/// A job that was handed in.
#[derive(Debug)]
pub(super) struct Ticket<R> {
    receiver: oneshot::Receiver<R>,
}

impl<R> Ticket<R> {
    /// Waits for the result; `None` when it was lost in a panic of its batch.
    pub(super) async fn result(self) -> Option<R> {
        self.receiver.await.ok()
    }
}

impl<J, R> Shared<J, R> {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue<J, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn needs_worker(&self, queue: &Queue<J, R>) -> bool {
        match queue.workers {
            0 => true,
            some if some < self.quick => queue.waiting.len() > self.most / 2,
            some => some < SLOW && queue.begun.elapsed() > WAITS,
        }
    }

    /// Works until nothing waits.
    fn serve(&self) {
        let leave = Leave(self);
        loop {
            let batch: Vec<_> = {
                let mut queue = self.queue();
                if queue.waiting.is_empty() {
                    // Under the same lock: whoever comes next must see that nobody works.
                    queue.workers -= 1;
                    std::mem::forget(leave);
                    return;
                }
                let most = queue.waiting.len().min(self.most);
                queue.begun = Instant::now();
                queue.waiting.drain(..most).collect()
            };
            let (jobs, senders): (Vec<J>, Vec<_>) = batch.into_iter().unzip();
            for (result, sender) in (self.work)(jobs).into_iter().zip(senders) {
                // Whoever asked may have been stopped.
                let _ = sender.send(result);
            }
        }
    }
}

/// Counts a worker out whose batch panicked. Jobs that nobody else will take are given up.
struct Leave<'a, J, R>(&'a Shared<J, R>);

impl<J, R> Drop for Leave<'_, J, R> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.workers -= 1;
        if queue.workers == 0 {
            queue.waiting.clear();
        }
    }
}

impl<J, R> Clone for Desk<J, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<J, R> fmt::Debug for Desk<J, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Desk").field("most", &self.shared.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Desk;

    #[tokio::test]
    async fn every_job_gets_its_own_result_in_few_batches() {
        let batches = Arc::new(AtomicUsize::new(0));
        let desk = Desk::new(16, {
            let batches = Arc::clone(&batches);
            move |jobs: Vec<u64>| {
                assert!(jobs.len() <= 16);
                batches.fetch_add(1, Ordering::SeqCst);
                jobs.into_iter().map(|job| job * 2).collect()
            }
        });
        let tasks: Vec<_> = (0..1000)
            .map(|job| {
                let desk = desk.clone();
                tokio::spawn(async move { desk.submit(job).await })
            })
            .collect();
        for (job, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Some(job * 2));
        }
        assert!(batches.load(Ordering::SeqCst) < 1000);
    }

    #[tokio::test]
    async fn a_panic_loses_its_batch_only() {
        let desk = Desk::new(1, |jobs: Vec<u8>| jobs.into_iter().inspect(|job| assert_ne!(*job, 0)).collect());
        assert_eq!(desk.submit(1).await, Some(1));
        assert_eq!(desk.submit(0).await, None);
        assert_eq!(desk.submit(2).await, Some(2));
    }
}
