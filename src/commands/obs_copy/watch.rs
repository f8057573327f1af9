//! What has to be said when a copy is over, collected while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::copy::{Event, EventSink};
use crate::ctx::Ctx;
use crate::ui::text;

/// No more notices than this are shown.
const MOST_NOTICES: usize = 20;

/// Passes events on, and remembers those that are told at the end.
#[derive(Debug)]
pub(super) struct Watch {
    next: Arc<dyn EventSink>,
    heard: Mutex<Heard>,
}

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    kept: u64,
    kept_of: u64,
    notices: Vec<String>,
    more_notices: usize,
}

impl Watch {
    /// Passes events on to `next`.
    pub(super) fn new(next: Arc<dyn EventSink>) -> Arc<Self> {
        Arc::new(Self { next, heard: Mutex::default() })
    }

    /// What was heard; nothing after that.
    pub(super) fn take(&self) -> Heard {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Shows what was noticed; gives the way to go on, if something was kept.
    pub(super) fn tell(&self, ctx: &Ctx) -> Option<String> {
        for notice in &self.notices {
            ctx.ui.warn(notice);
        }
        if self.more_notices > 0 {
            ctx.ui.warn(&format!("and {} more like these", self.more_notices));
        }
        let (kept, of) = (text::bytes(self.kept), text::bytes(self.kept_of));
        (self.kept_of > 0).then(|| format!("to go on, run the same command again: {kept} of {of} are kept"))
    }
}

impl EventSink for Watch {
    fn event(&self, event: Event) {
        match &event {
            Event::Kept { bytes, size } => {
                let mut heard = self.lock();
                heard.kept += bytes;
                heard.kept_of += size;
            }
            Event::Notice(notice) => {
                let mut heard = self.lock();
                match heard.notices.len() < MOST_NOTICES {
                    true => heard.notices.push(notice.clone()),
                    false => heard.more_notices += 1,
                }
            }
            _ => {}
        }
        self.next.event(event);
    }
}
