//! Where the pieces of all uploads are read and digested together.
//!
//! Streams hand in orders. A worker takes all that wait, as many as there are lanes, reads a piece of each, digests them side
//! by side and answers those that are complete; the others stay, and who came meanwhile joins. So a lone stream never waits,
//! and under load the lanes are full. A second worker only comes when a full set of lanes is waiting, because half-full lanes
//! cost as much as full ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::copy::budget::PIECE;
use crate::copy::digest::{Digester, Verify, joins_streams};
use crate::copy::error::Error;
use crate::copy::upload::pool::Pool;
use crate::copy::upload::source::Source;

/// Orders that one worker has in hand where digests are computed in lanes: one for each lane.
const IN_LANES: usize = 16;

/// Orders that one worker has in hand where there are no digests to join: enough to save thread changes.
const READ_ONLY: usize = 4;

/// After this long in the queue, an order gets a worker of its own: those in the room are held up by a file that cannot be
/// read just now.
const PATIENCE: Duration = Duration::from_millis(50);

/// Workers at most, however many are held up.
const MOST_WORKERS: usize = 32;

/// How far ahead of an order the system is asked to read: a slow disk sees the requests of all orders at once, and what comes
/// next, although a worker reads in turn.
const AHEAD: u64 = 2 * PIECE as u64;

/// Reads and digests for all uploads of a run; clones share it.
#[derive(Clone, Debug)]
pub(in crate::copy) struct Reading {
    room: Arc<Room>,
}

/// What is to be read.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) source: Arc<Source>,
    /// First byte.
    pub(super) offset: u64,
    /// Bytes; all of them must be there.
    pub(super) length: u64,
    /// Takes the bytes as they are read.
    pub(super) digester: Digester,
    /// Give the bytes back; else they are only digested.
    pub(super) keep: bool,
    /// The answer is an error if the file is no longer what it was when it was opened.
    pub(super) last: bool,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Filled {
    /// Pieces of [`PIECE`] bytes, the last one shorter; none if they were not to be kept.
    pub(super) pieces: Vec<Bytes>,
    /// As it was given, and the bytes read.
    pub(super) digester: Digester,
}

/// An order that was handed in. Dropping it takes the order back.
#[derive(Debug)]
pub(super) struct Ticket {
    room: Arc<Room>,
    answer: oneshot::Receiver<Result<Filled, Error>>,
}

#[derive(Debug)]
struct Room {
    queue: Mutex<Queue>,
    pool: Pool,
    // Orders in one worker's hands.
    group: usize,
    // Workers that are all making progress.
    workers: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Work>,
    workers: usize,
}

impl Reading {
    /// For uploads that are verified so.
    pub(in crate::copy) fn new(verify: Verify) -> Self {
        let group = match Digester::for_upload(verify) {
            Digester::Md5(_) if joins_streams() => IN_LANES,
            Digester::Md5(_) => 1,
            _ => READ_ONLY,
        };
        Self::with(group, std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn with(group: usize, workers: usize) -> Self {
        Self { room: Arc::new(Room { queue: Mutex::default(), pool: Pool::default(), group, workers }) }
    }

    /// Hands an order in. Must be called from within the runtime.
    pub(super) fn submit(&self, order: Order) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let mut queue = self.room.queue();
        queue.waiting.push_back(Work::new(order, sender));
        let is_full = queue.waiting.len() >= self.room.group && queue.workers < self.room.workers;
        self.room.staff(queue, is_full);
        Ticket { room: Arc::clone(&self.room), answer }
    }
}

impl Ticket {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`Error::Changed`] if the file is shorter than ordered or has changed, [`Error::Local`] if it cannot be read.
    pub(super) async fn wait(mut self) -> Result<Filled, Error> {
        loop {
            match tokio::time::timeout(PATIENCE, &mut self.answer).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => return Err(Error::local("read", "", std::io::Error::other("a worker ended early"))),
                Err(_) => {
                    let queue = self.room.queue();
                    let is_held_up = !queue.waiting.is_empty() && queue.workers < MOST_WORKERS;
                    self.room.staff(queue, is_held_up);
                }
            }
        }
    }
}

impl Room {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls a worker if there is none, or if one more is needed.
    fn staff(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue>, one_more: bool) {
        if one_more || (queue.workers == 0 && !queue.waiting.is_empty()) {
            queue.workers += 1;
            drop(queue);
            let mut shift = Shift { room: Arc::clone(self), ended: false };
            tokio::task::spawn_blocking(move || shift.work());
        }
    }
}

/// A worker's time in the room; is counted as over even if it panics.
struct Shift {
    room: Arc<Room>,
    ended: bool,
}

impl Drop for Shift {
    fn drop(&mut self) {
        if !self.ended {
            self.room.queue().workers -= 1;
        }
    }
}

impl Shift {
    fn work(&mut self) {
        let mut hands = Vec::with_capacity(self.room.group);
        while self.take(&mut hands) {
            for work in &mut hands {
                work.read(&self.room);
            }
            let pieces = hands.iter_mut().filter(|work| work.failure.is_none());
            Digester::update_many(pieces.map(|work| (&mut work.order.digester, work.piece.as_slice())));
            hands = hands.into_iter().filter_map(|work| work.settle(&self.room)).collect();
        }
    }

    /// Takes orders that wait. The shift ends, and gives false, when there is nothing in hand nor waiting.
    fn take(&mut self, hands: &mut Vec<Work>) -> bool {
        hands.retain(Work::is_wanted);
        let old = hands.len();
        let mut queue = self.room.queue();
        while hands.len() < self.room.group
            && let Some(work) = queue.waiting.pop_front()
        {
            if work.is_wanted() {
                hands.push(work);
            }
        }
        if hands.is_empty() {
            queue.workers -= 1;
            self.ended = true;
        }
        drop(queue);
        for work in &hands[old..] {
            work.order.source.will_need(work.order.offset, work.order.length.saturating_add(AHEAD));
        }
        !self.ended
    }
}

/// An order in the queue or in a worker's hands.
#[derive(Debug)]
struct Work {
    order: Order,
    // Bytes of the order that were read.
    done: u64,
    // What was read in this turn.
    piece: Vec<u8>,
    pieces: Vec<Bytes>,
    failure: Option<Error>,
    answer: oneshot::Sender<Result<Filled, Error>>,
}

impl Work {
    fn new(order: Order, answer: oneshot::Sender<Result<Filled, Error>>) -> Self {
        Self { order, done: 0, piece: Vec::new(), pieces: Vec::new(), failure: None, answer }
    }

    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    /// Reads the next piece.
    fn read(&mut self, room: &Room) {
        let Order { source, offset, length, last, .. } = &self.order;
        let wanted = usize::try_from(length - self.done).map_or(PIECE, |left| left.min(PIECE));
        if self.piece.capacity() == 0 {
            // Small files take what they need.
            self.piece = if *length < PIECE as u64 { Vec::new() } else { room.pool.take() };
        }
        let read = source.read_into(&mut self.piece, offset + self.done, wanted);
        self.done += wanted as u64;
        let checked = match read {
            Ok(()) if self.piece.len() < wanted => Err(source.changed()),
            Ok(()) if *last && self.done == *length => source.check_unchanged(),
            Ok(()) => Ok(()),
            Err(error) => Err(Error::local("read", &source.path, error)),
        };
        self.failure = checked.err();
    }

    /// Puts the piece aside and answers, or gives itself back if more is to be read.
    fn settle(mut self, room: &Room) -> Option<Self> {
        if let Some(error) = self.failure.take() {
            room.pool.give_back(self.piece);
            // Nobody may be waiting any more; the same holds below.
            let _ = self.answer.send(Err(error));
            return None;
        }
        if self.order.keep {
            let bytes = std::mem::take(&mut self.piece);
            self.pieces.push(room.pool.lend(bytes));
        }
        if self.done < self.order.length {
            return Some(self);
        }
        room.pool.give_back(self.piece);
        let _ = self.answer.send(Ok(Filled { pieces: self.pieces, digester: self.order.digester }));
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use md5::Digest as _;

    use super::{Order, Reading};
    use crate::copy::budget::PIECE;
    use crate::copy::digest::{Digester, Value, Verify};
    use crate::copy::error::Error;
    use crate::copy::upload::source::Source;

    fn file(folder: &tempfile::TempDir, name: &str, length: usize) -> (Arc<Source>, Vec<u8>) {
        let mut bytes = vec![0; length];
        fastrand::Rng::with_seed(length as u64).fill(&mut bytes);
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        (Arc::new(Source::open(path).unwrap()), bytes)
    }

    fn order(source: &Arc<Source>, keep: bool) -> Order {
        let digester = Digester::for_upload(Verify::Md5);
        Order { source: Arc::clone(source), offset: 0, length: source.size, digester, keep, last: true }
    }

    fn md5(bytes: &[u8]) -> Value {
        Value::Md5(md5::Md5::digest(bytes).into())
    }

    /// Nobody but so many workers is there when nothing is left to do; they leave after they answered.
    fn left(reading: &Reading, workers: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while reading.room.queue().workers != workers {
            assert!(Instant::now() < deadline, "workers stay");
            std::thread::yield_now();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_order_gets_its_own_bytes_and_digest() {
        let folder = tempfile::tempdir().unwrap();
        for (group, workers) in [(16, 2), (4, 1), (1, 2)] {
            let reading = Reading::with(group, workers);
            let lengths = [0, 1, 63, 4096, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 100];
            let tasks: Vec<_> = (0..40)
                .map(|number: usize| {
                    let (source, bytes) = file(&folder, &number.to_string(), lengths[number % lengths.len()]);
                    let (reading, keep) = (reading.clone(), !number.is_multiple_of(4));
                    tokio::spawn(async move {
                        let filled = reading.submit(order(&source, keep)).wait().await.unwrap();
                        assert_eq!(filled.digester.finish(), md5(&bytes));
                        let expected = if keep { bytes } else { Vec::new() };
                        assert!(filled.pieces.concat() == expected, "the bytes of file {number} differ");
                        assert!(filled.pieces.iter().rev().skip(1).all(|piece| piece.len() == PIECE));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            left(&reading, 0);
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_fails_alone() {
        let folder = tempfile::tempdir().unwrap();
        let reading = Reading::with(16, 1);
        let (shorter, _) = file(&folder, "shorter", PIECE + 10);
        let (touched, bytes) = file(&folder, "touched", PIECE + 20);
        let (good, expected) = file(&folder, "good", PIECE + 30);
        std::fs::write(&shorter.path, b"short").unwrap();
        let past = std::time::SystemTime::now() - Duration::from_secs(100);
        std::fs::File::options().write(true).open(&touched.path).unwrap().set_modified(past).unwrap();
        let inner = Order { last: false, ..order(&touched, true) };
        let [shorter, touched, inner, good] =
            [order(&shorter, true), order(&touched, true), inner, order(&good, true)].map(|order| reading.submit(order));
        assert!(matches!(shorter.wait().await, Err(Error::Changed(_))));
        assert!(matches!(touched.wait().await, Err(Error::Changed(_))));
        assert_eq!(inner.wait().await.unwrap().digester.finish(), md5(&bytes), "only the last piece looks at the time");
        assert_eq!(good.wait().await.unwrap().digester.finish(), md5(&expected));
    }

    #[tokio::test]
    async fn an_order_that_nobody_waits_for_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let reading = Reading::with(16, 1);
        // No worker comes: one seems to be there.
        reading.room.queue().workers = 1;
        let (source, _) = file(&folder, "file", 10);
        drop(reading.submit(order(&source, true)));
        let (other, bytes) = file(&folder, "other", 20);
        let filled = reading.submit(order(&other, true)).wait().await.unwrap();
        assert_eq!(filled.pieces.concat(), bytes);
        left(&reading, 1);
        assert_eq!(Arc::strong_count(&source), 1, "the order is gone");
    }

    #[tokio::test]
    async fn who_waits_behind_a_worker_that_is_held_up_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let reading = Reading::with(16, 1);
        reading.room.queue().workers = 1;
        let (source, bytes) = file(&folder, "file", 10);
        let begun = Instant::now();
        let filled = reading.submit(order(&source, true)).wait().await.unwrap();
        assert_eq!(filled.pieces.concat(), bytes);
        assert!(begun.elapsed() >= super::PATIENCE, "the worker that is there was waited for");
        left(&reading, 1);
    }
}
