//! When a failed request is tried again, and after how long.
//!
//! Pure but for [`Schedule::start`], which reads the clock once: callers hand in what happened and get back how long to wait.

use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::http::Error;

/// How often and how long a request is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// No new attempt begins once this much time is charged: waits as they are, attempts up to [`Schedule::charging_at_most`].
    pub elapsed: Duration,
    /// Upper end of the random wait after the first failure; doubles with each further one.
    pub base: Duration,
    /// Upper end of any random wait.
    pub cap: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        // Eight attempts with full jitter wait 25 s on average: longer than a restart of a load balancer, shorter than a user's patience.
        Self { attempts: 8, elapsed: Duration::from_secs(120), base: Duration::from_millis(200), cap: Duration::from_secs(15) }
    }
}

impl Policy {
    /// One attempt only.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }
}

/// Whether a failure may pass when the request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It may; not before `after`, when the server named a time.
    Transient {
        /// What `Retry-After` asked for.
        after: Option<Duration>,
    },
    /// The answer would be the same.
    Fatal,
}

/// Classifies an HTTP status: 5xx except 501 and 505, 429 and 408 are transient; every refusal is fatal.
///
/// `retry_after` is the header's value: seconds or an HTTP date, the latter taken relative to `now`.
pub fn classify_status(status: u16, retry_after: Option<&str>, now: OffsetDateTime) -> Class {
    match status {
        501 | 505 => Class::Fatal,
        408 | 425 | 429 | 500..=599 => Class::Transient { after: retry_after.and_then(|value| parse_retry_after(value, now)) },
        _ => Class::Fatal,
    }
}

/// Classifies a failure below the level of an answer: connections that fail, break or stall are transient.
pub fn classify_error(error: &Error) -> Class {
    if error.is_transient() { Class::Transient { after: None } } else { Class::Fatal }
}

/// Reads `Retry-After`: seconds, or an HTTP date relative to `now` (a date in the past is no wait).
pub fn parse_retry_after(value: &str, now: OffsetDateTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(&value.replace("GMT", "+0000"), &Rfc2822).ok()?;
    Some(Duration::try_from(date - now).unwrap_or(Duration::ZERO))
}

/// The retries of one request: counts attempts, keeps to the policy's budget.
#[derive(Clone, Debug)]
pub struct Schedule {
    policy: Policy,
    started: Instant,
    attempts: u32,
    // When the attempt that runs began.
    began: Instant,
    // Time of earlier attempts and waits that counts.
    charged: Duration,
    most: Duration,
}

impl Schedule {
    /// Starts the clock; the first attempt begins now.
    pub fn start(policy: Policy) -> Self {
        let now = Instant::now();
        Self { policy, started: now, attempts: 1, began: now, charged: Duration::ZERO, most: Duration::MAX }
    }

    /// Charges no attempt more than `most`: one that ran longer moved bytes for the rest of the time, and a transfer that broke
    /// after minutes deserves as many attempts as one that broke at once.
    #[must_use]
    pub fn charging_at_most(self, most: Duration) -> Self {
        Self { most, ..self }
    }

    /// Attempts begun so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Time since the first attempt began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// After a failure: how long to wait before the next attempt, which is counted as begun; `None` to give up.
    pub fn next_wait(&mut self, class: Class) -> Option<Duration> {
        self.charged = self.charged.saturating_add(self.began.elapsed().min(self.most));
        let wait = wait(&self.policy, class, self.attempts, self.charged, fastrand::f64())?;
        self.charged = self.charged.saturating_add(wait);
        self.began = Instant::now() + wait;
        self.attempts += 1;
        Some(wait)
    }
}

/// The rule behind [`Schedule::next_wait`]: full jitter (`random` in 0..1 times the doubled base, capped), at least what the
/// server asked for, and nothing that would begin after the time budget.
pub fn wait(policy: &Policy, class: Class, attempts: u32, elapsed: Duration, random: f64) -> Option<Duration> {
    let Class::Transient { after } = class else { return None };
    if attempts >= policy.attempts {
        return None;
    }
    let doubled = policy.base.saturating_mul(2u32.saturating_pow(attempts.saturating_sub(1))).min(policy.cap);
    let wait = doubled.mul_f64(random.clamp(0.0, 1.0)).max(after.unwrap_or(Duration::ZERO));
    (elapsed.saturating_add(wait) <= policy.elapsed).then_some(wait)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use time::macros::datetime;

    use super::{Class, Policy, Schedule, classify_error, classify_status, wait};
    use crate::http::Error;

    const TRANSIENT: Class = Class::Transient { after: None };

    #[test]
    fn classifies_statuses() {
        let now = datetime!(2026-01-15 08:30:00 UTC);
        let after = |seconds| Class::Transient { after: Some(Duration::from_secs(seconds)) };
        let table: &[(u16, Option<&str>, Class)] = &[
            (200, None, Class::Fatal),
            (400, None, Class::Fatal),
            (401, None, Class::Fatal),
            (403, Some("5"), Class::Fatal),
            (404, None, Class::Fatal),
            (408, None, TRANSIENT),
            (409, None, Class::Fatal),
            (412, None, Class::Fatal),
            (429, None, TRANSIENT),
            (429, Some("7"), after(7)),
            (429, Some(" 7 "), after(7)),
            (429, Some("soon"), TRANSIENT),
            (429, Some("Thu, 15 Jan 2026 08:30:09 GMT"), after(9)),
            (503, Some("Thu, 15 Jan 2026 08:29:00 GMT"), after(0)),
            (500, None, TRANSIENT),
            (501, None, Class::Fatal),
            (502, None, TRANSIENT),
            (503, Some("0"), after(0)),
            (504, None, TRANSIENT),
            (505, None, Class::Fatal),
        ];
        for (status, header, expected) in table {
            assert_eq!(classify_status(*status, *header, now), *expected, "{status} {header:?}");
        }
    }

    #[test]
    fn classifies_errors() {
        let host = || "h:1".to_owned();
        let message = String::new;
        let proxy =
            |is_refusal| Error::Proxy { host: host(), proxy: host(), origin: message(), message: message(), is_refusal };
        let table = [
            (Error::Connect { host: host(), message: message() }, TRANSIENT),
            (Error::Timeout { host: host(), seconds: 1 }, TRANSIENT),
            (Error::Interrupted { host: host(), message: message() }, TRANSIENT),
            (Error::Tls { host: host(), message: message(), is_certificate: false }, Class::Fatal),
            (proxy(false), TRANSIENT),
            (proxy(true), Class::Fatal),
            (Error::Invalid(message()), Class::Fatal),
        ];
        for (error, expected) in table {
            assert_eq!(classify_error(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn an_attempt_that_ran_for_long_is_followed_by_others() {
        let attempts = |most: Option<u64>| {
            let mut schedule = Schedule::start(Policy::default());
            schedule = most.map_or(schedule.clone(), |most| schedule.charging_at_most(Duration::from_secs(most)));
            loop {
                schedule.began = Instant::now().checked_sub(Duration::from_secs(600)).unwrap();
                if schedule.next_wait(TRANSIENT).is_none() {
                    return schedule.attempts();
                }
            }
        };
        assert_eq!(attempts(None), 1);
        assert!((3..=4).contains(&attempts(Some(30))), "{}", attempts(Some(30)));
        assert_eq!(attempts(Some(0)), Policy::default().attempts);
    }

    #[test]
    fn waits_within_the_budget() {
        let policy =
            Policy { attempts: 4, elapsed: Duration::from_secs(10), base: Duration::from_secs(1), cap: Duration::from_secs(3) };
        let seconds = Duration::from_secs;
        let table = [
            (TRANSIENT, 1, seconds(0), 1.0, Some(seconds(1))),
            (TRANSIENT, 2, seconds(0), 1.0, Some(seconds(2))),
            (TRANSIENT, 3, seconds(0), 1.0, Some(seconds(3))),
            (TRANSIENT, 3, seconds(0), 0.0, Some(seconds(0))),
            (TRANSIENT, 4, seconds(0), 0.0, None),
            (TRANSIENT, 3, seconds(8), 1.0, None),
            (TRANSIENT, 3, seconds(7), 1.0, Some(seconds(3))),
            (Class::Transient { after: Some(seconds(6)) }, 1, seconds(0), 0.5, Some(seconds(6))),
            (Class::Transient { after: Some(seconds(11)) }, 1, seconds(0), 0.5, None),
            (Class::Fatal, 1, seconds(0), 0.5, None),
        ];
        for (class, attempts, elapsed, random, expected) in table {
            assert_eq!(wait(&policy, class, attempts, elapsed, random), expected, "{class:?} {attempts} {elapsed:?}");
        }
    }
}
