//! The progress of a copy on standard error: one line a few times a second where somebody looks, JSON Lines where a program reads.
//!
//! Events only count; a thread of its own looks at the counters and draws, so that many tasks at once cost each other nothing.

mod counters;
mod draw;
mod line;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::copy::event::{Event, EventSink};
use crate::ui::Ui;
use crate::ui::progress::counters::Counters;
use crate::ui::progress::draw::Drawing;

/// What is shown of a copy while it runs (`obs-copy --progress`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// A line on a terminal and in a notebook, nothing elsewhere.
    #[default]
    Auto,
    /// JSON Lines: events, and with them everything else that goes to standard error.
    Jsonl,
    /// Nothing.
    None,
}

impl Progress {
    /// The words of `--progress`.
    pub const NAMES: [&str; 3] = ["auto", "jsonl", "none"];

    /// The meaning of one of [`Progress::NAMES`].
    pub fn parse(word: &str) -> Self {
        match word {
            "jsonl" => Self::Jsonl,
            "none" => Self::None,
            _ => Self::Auto,
        }
    }
}

/// Shows the progress of a copy. What it drew is removed from the terminal when it is dropped.
#[derive(Debug)]
pub struct CopyProgress {
    shown: Option<Shown>,
}

#[derive(Debug)]
struct Shown {
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
    is_jsonl: bool,
}

/// What the tasks of the copy and the drawing thread share.
#[derive(Debug, Default)]
struct Watched {
    counters: Counters,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Ui {
    /// Begins to show the progress of a copy; how depends on what standard error is.
    pub fn copy_progress(&self, progress: Progress) -> CopyProgress {
        let drawing = match progress {
            Progress::Jsonl => {
                self.set_json_lines();
                Some(Drawing::Jsonl)
            }
            Progress::Auto if !self.options.no_progress && self.terminals.is_notebook => Some(Drawing::Carriage),
            Progress::Auto if self.shows_progress() => Some(Drawing::Terminal),
            Progress::Auto | Progress::None => None,
        };
        CopyProgress { shown: drawing.and_then(|drawing| Shown::begin(drawing, self.terminals.is_ascii)) }
    }
}

impl Shown {
    /// `None` where no thread can be had: a copy works without being watched.
    fn begin(drawing: Drawing, is_ascii: bool) -> Option<Self> {
        let watched = Arc::<Watched>::default();
        let seen = Arc::clone(&watched);
        let thread =
            std::thread::Builder::new().name("progress".to_owned()).spawn(move || watch(&seen, drawing, is_ascii)).ok()?;
        Some(Self { watched, thread: Some(thread), is_jsonl: drawing == Drawing::Jsonl })
    }
}

/// Draws from time to time until the copy is over, then takes away what it drew or says how it ended.
fn watch(watched: &Watched, drawing: Drawing, is_ascii: bool) {
    let started = Instant::now();
    let mut meter = line::Meter::default();
    let mut artist = draw::Artist::new(drawing, is_ascii);
    let mut pause = drawing.patience();
    while !watched.is_over_after(pause) {
        pause = drawing.interval();
        let snapshot = watched.counters.snapshot();
        let estimate = meter.estimate(&snapshot, started.elapsed());
        artist.draw(&snapshot, &estimate, started.elapsed());
    }
    artist.finish(&watched.counters.snapshot(), started.elapsed());
}

impl Watched {
    /// Waits that long; whether the copy was over before.
    fn is_over_after(&self, pause: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.over.wait_timeout_while(is_over, pause, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl EventSink for CopyProgress {
    fn event(&self, event: Event) {
        let Some(shown) = &self.shown else { return };
        if shown.is_jsonl
            && let Event::Failed { name, message } = &event
        {
            draw::write_event(&json!({"event": "failed", "name": name, "error": message}));
        }
        shown.watched.counters.count(&event);
    }
}

impl Drop for CopyProgress {
    fn drop(&mut self) {
        let Some(shown) = &mut self.shown else { return };
        *shown.watched.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        shown.watched.over.notify_all();
        if let Some(thread) = shown.thread.take() {
            // The thread only draws; how it ended changes nothing.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CopyProgress, Event, EventSink as _, Progress, Shown};
    use crate::ui::progress::draw::Drawing;
    use crate::ui::{Options, Terminals, Ui};

    fn drawing(progress: Progress, no_progress: bool, terminals: Terminals) -> bool {
        let ui = Ui::new(Options { no_progress, ..Options::default() }, terminals);
        ui.copy_progress(progress).shown.is_some()
    }

    #[test]
    fn shows_itself_where_somebody_looks() {
        let (nobody, terminal) = (Terminals::default(), Terminals { stderr: true, ..Terminals::default() });
        let notebook = Terminals { is_notebook: true, ..Terminals::default() };
        assert!(!drawing(Progress::Auto, false, nobody));
        assert!(drawing(Progress::Auto, false, terminal) && drawing(Progress::Auto, false, notebook));
        assert!(!drawing(Progress::Auto, true, terminal) && !drawing(Progress::Auto, true, notebook));
        assert!(!drawing(Progress::None, false, terminal));
        assert!(drawing(Progress::Jsonl, true, nobody), "events were asked for by name");
    }

    #[test]
    fn counts_what_happens_and_ends_with_the_copy() {
        let progress = CopyProgress { shown: Shown::begin(Drawing::Silent, true) };
        progress.event(Event::Found { bytes: 3072 });
        progress.event(Event::Skipped { files: 7, bytes: 10 });
        progress.event(Event::Moved(2048));
        progress.event(Event::Moved(-1024));
        progress.event(Event::Failed { name: "a".into(), message: "b".into() });
        let watched = std::sync::Arc::clone(&progress.shown.as_ref().unwrap().watched);
        drop(progress);
        let seen = watched.counters.snapshot();
        assert_eq!((seen.total_files, seen.total_bytes, seen.bytes), (1, 3072, 1024));
        assert_eq!((seen.skipped, seen.failed, seen.is_scanned), (7, 1, false));
        assert_eq!(std::sync::Arc::strong_count(&watched), 1, "the thread is gone");
    }
}
