//! How many requests are in flight: few at first, more while that moves more, fewer when the store asks for it.
//!
//! Every window of time the work done is compared with the best so far. While the limit was what held the run back and the
//! work still grows, the limit doubles; where it no longer does, it stays, and is tried a little higher now and then. An
//! answer of 503 or 429 halves it for the whole run, and all requests wait a moment together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests in flight at the start. With a store on the same two cores 5,000 puts of 4 KiB took 0.186 s with 16, 0.195 s with
/// 32 and 0.226 s with 256 (`scripts/bench copy --row put get` with `--jobs`); whatever is further away asks for more by itself.
pub const START: usize = 16;

/// Twice the requests must bring this much, or they only wait elsewhere.
const WORTH: f64 = 1.3;

/// Requests that take at least so long wait for the way to the store, not for this machine.
const FAR: Duration = Duration::from_millis(8);

/// What a request weighs beside its bytes: about what 5,000 requests of 4 KiB cost, compared with 1 GiB in large ones.
const REQUEST: u64 = 64 * 1024;

/// The shortest window; longer where requests take longer.
const WINDOW: Duration = Duration::from_millis(25);

/// So many requests must have ended in a window, or so many bytes moved, before it is trusted: a few say more of chance than of the
/// limit. Windows of three requests led 20,000 files on a busy machine down to one at a time, for good.
const ENOUGH_REQUESTS: u64 = 16;
const ENOUGH_BYTES: u64 = 4 << 20;

/// Waiting longer is no reason to go below this; only the store's complaints are.
const FEW: usize = 4;

/// The longest window.
const LONGEST_WINDOW: Duration = Duration::from_millis(500);

/// Bytes alone tell after so long, where no request ends sooner: 1 GiB at 40 MB/s a connection, in parts of 0.4 s, spent a third
/// of its time with the first 16.
const PATIENCE: Duration = Duration::from_millis(100);

/// Windows between two tries of a higher limit.
const REST: u32 = 8;

/// All requests wait so long together when the store asks for less.
const PAUSE: Duration = Duration::from_millis(200);

/// The controller. Pure but for its lock: the time comes from outside.
#[derive(Debug)]
pub struct Pace {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    window: Instant,
    requests: u64,
    bytes: u64,
    // Time that the finished requests of this window took together.
    taken: Duration,
    starved: bool,
    waiting: usize,
    best: f64,
    // The least that requests of a window took on average.
    quickest: Duration,
    // The limit has just changed: this window still shows what was before.
    settling: bool,
    // The limit before the last try, to go back to.
    before: usize,
    phase: Phase,
    throttled: u64,
    paused_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Doubling.
    Growing,
    /// At rest for so many more windows.
    Steady(u32),
    /// A higher limit is being tried.
    Trying,
}

impl Pace {
    /// A pace that begins now, with at most `most` requests.
    pub fn new(most: usize, now: Instant) -> Self {
        let limit = START.min(most).max(1);
        let state = State {
            limit,
            window: now,
            requests: 0,
            bytes: 0,
            taken: Duration::ZERO,
            starved: false,
            waiting: 0,
            best: 0.0,
            quickest: Duration::MAX,
            settling: false,
            before: limit,
            phase: Phase::Growing,
            throttled: 0,
            paused_until: None,
        };
        Self { most: most.max(1), state: Mutex::new(state) }
    }

    /// Requests that may be in flight now.
    pub fn limit(&self) -> usize {
        self.state().limit
    }

    /// Somebody waits for a slot, until the value is dropped.
    pub fn waiting(&self) -> Waiting<'_> {
        let mut state = self.state();
        state.waiting += 1;
        state.starved = true;
        Waiting(self)
    }

    /// Bytes moved. Returns the limit from now on.
    pub fn moved(&self, bytes: u64, now: Instant) -> usize {
        let mut state = self.state();
        state.bytes += bytes;
        let elapsed = now.saturating_duration_since(state.window);
        if state.requests == 0 && elapsed >= PATIENCE {
            let work = state.work(elapsed);
            state.judge(work, None, self.most);
            state.open_window(now);
        }
        state.limit
    }

    /// A request ended that took so long; `throttled` counts the store's complaints so far. Returns the limit from now on.
    pub fn finished(&self, took: Duration, throttled: u64, now: Instant) -> usize {
        let mut state = self.state();
        state.requests += 1;
        state.taken += took;
        if throttled > state.throttled {
            state.throttled = throttled;
            state.slow_down(now);
        }
        let requests = u32::try_from(state.requests).unwrap_or(u32::MAX);
        let latency = state.taken / requests.max(1);
        let window = latency.clamp(WINDOW, LONGEST_WINDOW);
        let elapsed = now.saturating_duration_since(state.window);
        let is_enough = state.requests >= ENOUGH_REQUESTS || state.bytes >= ENOUGH_BYTES || elapsed >= LONGEST_WINDOW;
        if elapsed >= window && is_enough {
            let work = state.work(elapsed);
            state.judge(work, Some(latency), self.most);
            state.open_window(now);
        }
        state.limit
    }

    /// Until when nothing new should be asked for.
    pub fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.state().paused_until.filter(|until| *until > now)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a slot.
#[derive(Debug)]
#[must_use]
pub struct Waiting<'a>(&'a Pace);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl State {
    /// What this window brought, a second.
    fn work(&self, elapsed: Duration) -> f64 {
        (self.bytes + self.requests * REQUEST) as f64 / elapsed.as_secs_f64()
    }

    /// Takes what a window brought into account; no latency where no request ended in it.
    fn judge(&mut self, work: f64, latency: Option<Duration>, most: usize) {
        self.quickest = self.quickest.min(latency.unwrap_or(Duration::MAX));
        if std::mem::take(&mut self.settling) || !self.starved {
            // Where the limit held nobody back, the window says nothing about it.
            return;
        }
        // Whoever is far away answers as soon as before: more at once costs nothing there.
        let is_free = latency.is_some_and(|latency| latency >= FAR && latency < self.quickest.mul_f64(WORTH));
        let is_slow = latency.is_some_and(|latency| latency > self.quickest.saturating_mul(3));
        match self.phase {
            Phase::Growing | Phase::Steady(0) if is_free => self.raise(work, 2.0, most),
            Phase::Growing if work > self.best * WORTH => self.raise(work, 2.0, most),
            Phase::Trying if work > self.best * 1.1 => self.raise(work, 1.25, most),
            // More at once does not bring more: it only waits elsewhere.
            Phase::Growing | Phase::Trying => {
                self.limit = self.before;
                self.settling = true;
                self.phase = Phase::Steady(REST);
            }
            Phase::Steady(0) => {
                self.best = work;
                self.raise(work, 1.25, most);
            }
            // Everybody waits longer, and less is done: the store, or the way to it, has too much to do.
            Phase::Steady(_) if is_slow && work < self.best * 0.9 && self.limit > FEW => {
                self.limit = (self.limit * 4 / 5).max(FEW);
                self.best = work;
                // From now on this is what is usual: one change for the worse counts once.
                self.quickest = latency.unwrap_or(self.quickest);
                self.settling = true;
                self.phase = Phase::Steady(REST);
            }
            Phase::Steady(left) => self.phase = Phase::Steady(left - 1),
        }
        self.best = self.best.max(work);
    }

    fn raise(&mut self, work: f64, factor: f64, most: usize) {
        self.phase = if factor > 1.5 { Phase::Growing } else { Phase::Trying };
        self.best = self.best.max(work);
        self.before = self.limit;
        let raised = (self.limit as f64 * factor).ceil() as usize;
        self.limit = raised.min(most);
        self.settling = self.limit != self.before;
        if !self.settling {
            self.phase = Phase::Steady(REST);
        }
    }

    fn slow_down(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| until > now) {
            // One wave of complaints counts once.
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.before = self.limit;
        self.best = 0.0;
        self.quickest = Duration::MAX;
        self.phase = Phase::Steady(REST);
        self.paused_until = Some(now + PAUSE);
        self.open_window(now);
    }

    fn open_window(&mut self, now: Instant) {
        self.window = now;
        self.requests = 0;
        self.bytes = 0;
        self.taken = Duration::ZERO;
        self.starved = self.waiting > 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Pace, START};

    /// Rounds of requests to a store that answers after `latency` and does at most `most` requests at once at full speed.
    fn run(pace: &Pace, now: &mut Instant, rounds: u32, latency: Duration, most: usize) {
        for _ in 0..rounds {
            let limit = pace.limit();
            // Beyond what the store does at once, requests only wait longer.
            let took = latency.mul_f64((limit as f64 / most as f64).max(1.0));
            let begun = *now;
            for number in 1..=limit {
                *now = begun + took.mul_f64(number as f64 / limit as f64);
                drop(pace.waiting());
                pace.moved(4096, *now);
                pace.finished(took, 0, *now);
            }
        }
    }

    #[test]
    fn grows_while_that_helps() {
        let mut now = Instant::now();
        let pace = Pace::new(256, now);
        assert_eq!(pace.limit(), START);
        run(&pace, &mut now, 40, Duration::from_millis(20), 1000);
        assert_eq!(pace.limit(), 256, "nothing but the cap ends it");
        let pace = Pace::new(256, now);
        run(&pace, &mut now, 120, Duration::from_millis(20), 60);
        assert!((START..=128).contains(&pace.limit()), "{}", pace.limit());
        assert_eq!(Pace::new(4, now).limit(), 4);
    }

    #[test]
    fn backs_off_once_for_a_wave_of_complaints_and_comes_back() {
        let mut now = Instant::now();
        let pace = Pace::new(64, now);
        for throttled in 1..=10 {
            pace.finished(Duration::from_millis(5), throttled, now);
        }
        assert_eq!(pace.limit(), START / 2);
        let until = pace.paused_until(now).unwrap();
        assert_eq!(pace.paused_until(until), None);
        now = until;
        pace.finished(Duration::from_millis(5), 11, now);
        assert_eq!(pace.limit(), START / 4);
        run(&pace, &mut now, 200, Duration::from_millis(20), 1000);
        assert!(pace.limit() > START / 2, "{}", pace.limit());
    }

    #[test]
    fn a_store_that_has_become_slower_leaves_a_few() {
        let mut now = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        for most in [4, 256] {
            let pace = Pace::new(most, now);
            run(&pace, &mut now, 20, Duration::from_millis(1), 8);
            for _ in 0..400 {
                run(&pace, &mut now, 1, Duration::from_micros(random.u64(2_000..14_000)), 8);
                assert!(pace.limit() >= 4, "{}", pace.limit());
            }
        }
    }

    #[test]
    fn long_requests_are_judged_before_they_end() {
        let mut now = Instant::now();
        let pace = Pace::new(1024, now);
        let waiting = pace.waiting();
        for _ in 0..60 {
            now += Duration::from_millis(10);
            // Each request in flight brings as much as every other.
            pace.moved(400_000 * pace.limit() as u64, now);
        }
        assert_eq!(pace.limit(), START * 8, "a window to see, a window to settle");
        drop(waiting);
        for _ in 0..200 {
            now += Duration::from_millis(10);
            pace.moved(400_000 * pace.limit() as u64, now);
        }
        assert_eq!(pace.limit(), START * 16, "somebody waited when that window began; nobody waits for more since");
    }

    #[test]
    fn an_idle_limit_stays() {
        let mut now = Instant::now();
        let pace = Pace::new(256, now);
        for _ in 0..100 {
            now += Duration::from_millis(30);
            pace.finished(Duration::from_millis(5), 0, now);
        }
        assert_eq!(pace.limit(), START);
    }
}
