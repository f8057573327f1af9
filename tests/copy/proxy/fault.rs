//! What goes wrong, and with which requests.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::proxy::Head;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The store is never asked; the answer has this status.
    Status(u16),
    /// The store is never asked; the answer has this status and asks for so many seconds of patience.
    RetryAfter(u16, u32),
    /// The store is never asked; the answer has this status and a document with this code.
    Code(u16, &'static str),
    /// The store is never asked; the connection closes.
    Reset,
    /// The connection breaks when so many bytes of the request's body have come.
    ResetAfter(u64),
    /// The store does what was asked, and the connection closes before it can say so.
    LoseAnswer,
    /// Half of the answer's body, then the connection closes.
    CutBody,
    /// After so many bytes of the request's body nothing is read any more.
    StallUp(u64),
    /// Half of the answer's body, then nothing.
    StallDown,
    /// The store does what was asked, and nobody says so.
    Silence,
    /// The request's body is taken a little at a time.
    TrickleUp(Duration),
    /// The answer's body comes a little at a time.
    TrickleDown(Duration),
    /// A byte of what is sent changes on the way.
    FlipUp,
    /// A byte of what is received changes on the way.
    FlipDown,
    /// The answer's ETag looks like an MD5 and is another one; `true`: it says that the store encrypts, as OBS does.
    OtherEtag(bool),
    /// The answer has no length and ends with the connection, as HTTP/1.0 has it.
    CloseDelimited,
    /// The answer is no HTTP.
    Garbage,
    /// The answer sends to another place.
    Redirect(&'static str),
    /// After the answer come bytes that nobody asked for.
    Oversize,
}

/// How many of the requests that match are spoilt.
#[derive(Debug)]
pub(crate) enum Pick {
    /// The first so many.
    First(AtomicUsize),
    /// So many of a hundred; which ones depends on the seed and on what is asked, not on the order of arrival.
    Share { percent: u64, seed: u64, asked: Mutex<HashMap<String, u64>> },
}

/// A fault and its requests.
#[derive(Debug)]
pub(crate) struct Rule {
    fault: Fault,
    when: fn(&Head) -> bool,
    pick: Pick,
}

impl Rule {
    pub(crate) fn first(count: usize, fault: Fault, when: fn(&Head) -> bool) -> Self {
        Self { fault, when, pick: Pick::First(AtomicUsize::new(count)) }
    }

    pub(crate) fn always(fault: Fault, when: fn(&Head) -> bool) -> Self {
        Self::first(usize::MAX, fault, when)
    }

    pub(crate) fn share(percent: u64, seed: u64, fault: Fault, when: fn(&Head) -> bool) -> Self {
        Self { fault, when, pick: Pick::Share { percent, seed, asked: Mutex::default() } }
    }

    pub(super) fn matches(&self, head: &Head) -> bool {
        (self.when)(head)
    }

    /// The fault, if this request is one of those.
    pub(super) fn take(&self) -> Option<Fault> {
        let Pick::First(left) = &self.pick else { return None };
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        taken.is_ok().then_some(self.fault)
    }

    pub(super) fn draw(&self, head: &Head) -> Option<Fault> {
        let Pick::Share { percent, seed, asked } = &self.pick else { return self.take() };
        // Upload ids and ranges tell parts apart, but the former differ from run to run.
        let query = head.uri.query().unwrap_or_default().split("&uploadId").next().unwrap_or_default();
        let what = format!("{} {} {query} {:?}", head.method, head.uri.path(), head.header("range"));
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(what.clone()).or_default();
        *times += 1;
        let mut hasher = DefaultHasher::new();
        (seed, &what, *times).hash(&mut hasher);
        (hasher.finish() % 100 < *percent).then_some(self.fault)
    }

    pub(super) fn is_spent(&self) -> bool {
        match &self.pick {
            Pick::First(left) => left.load(Ordering::SeqCst) == 0,
            Pick::Share { .. } => true,
        }
    }
}
