//! Ways to show progress: a bar on a terminal, a line that is written over in a notebook, JSON Lines for programs.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::ui::progress::counters::Snapshot;
use crate::ui::progress::line::{self, Estimate};
use crate::ui::text::printable_json;

/// Columns of a line in a notebook: what is longer would wrap, and could not be written over.
const NOTEBOOK_WIDTH: usize = 100;

/// One way to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawing {
    /// A bar and a line at the bottom of a terminal.
    Terminal,
    /// One line, begun anew with a carriage return: notebooks know no other control character.
    Carriage,
    /// One JSON document a line.
    Jsonl,
    /// Looks without drawing.
    #[cfg(test)]
    Silent,
}

impl Drawing {
    /// What is over sooner is not shown.
    pub(super) fn patience(self) -> Duration {
        match self {
            Self::Jsonl => self.interval(),
            _ => Duration::from_millis(250),
        }
    }

    /// Time between two drawings.
    pub(super) fn interval(self) -> Duration {
        match self {
            Self::Terminal => Duration::from_millis(100),
            Self::Jsonl => Duration::from_millis(500),
            // A notebook keeps what it is sent and hands all of it to the browser.
            _ => Duration::from_secs(1),
        }
    }
}

/// Draws in one way.
#[derive(Debug)]
pub(super) enum Artist {
    Terminal(ProgressBar),
    Carriage {
        columns: usize,
    },
    Jsonl,
    #[cfg(test)]
    Silent,
}

impl Artist {
    pub(super) fn new(drawing: Drawing, is_ascii: bool) -> Self {
        match drawing {
            Drawing::Terminal => {
                let style = ProgressStyle::with_template("{wide_bar} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
                let style = if is_ascii { style.progress_chars("=> ") } else { style };
                Self::Terminal(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)).with_style(style))
            }
            Drawing::Carriage => Self::Carriage { columns: 0 },
            Drawing::Jsonl => Self::Jsonl,
            #[cfg(test)]
            Drawing::Silent => Self::Silent,
        }
    }

    pub(super) fn draw(&mut self, seen: &Snapshot, estimate: &Estimate, elapsed: Duration) {
        match self {
            Self::Terminal(bar) => {
                bar.set_length(seen.total_bytes);
                bar.set_position(seen.bytes);
                bar.set_message(line::text(seen, estimate));
            }
            Self::Carriage { columns } => write(&over(&line::text(seen, estimate), columns)),
            Self::Jsonl => write_event(&event("progress", seen, Some(estimate), elapsed)),
            #[cfg(test)]
            Self::Silent => {}
        }
    }

    /// Takes the line away, or says that the end is reached.
    pub(super) fn finish(&mut self, seen: &Snapshot, elapsed: Duration) {
        match self {
            Self::Terminal(bar) => bar.finish_and_clear(),
            Self::Carriage { columns: 0 } => {}
            Self::Carriage { columns } => write(&format!("{}\r", over("", columns))),
            Self::Jsonl => write_event(&event("end", seen, None, elapsed)),
            #[cfg(test)]
            Self::Silent => {}
        }
    }
}

/// The line over the one before it, of that many columns.
fn over(line: &str, columns: &mut usize) -> String {
    let line: String = line.chars().take(NOTEBOOK_WIDTH).collect();
    let before = std::mem::replace(columns, line.chars().count());
    format!("\r{line}{}", " ".repeat(before.saturating_sub(*columns)))
}

fn event(name: &str, seen: &Snapshot, estimate: Option<&Estimate>, elapsed: Duration) -> Value {
    let rounded = |seconds: f64| (seconds * 1000.0).round() / 1000.0;
    let mut event = json!({
        "event": name,
        "bytes": seen.bytes,
        "files": seen.files,
        "total_bytes": seen.total_bytes,
        "total_files": seen.total_files,
        "is_total_final": seen.is_scanned,
        "skipped": seen.skipped,
        "failed": seen.failed,
        "seconds": rounded(elapsed.as_secs_f64()),
    });
    if let Some(estimate) = estimate {
        event["bytes_per_second"] = (estimate.rate as u64).into();
        event["seconds_left"] = estimate.left.map(|left| rounded(left.as_secs_f64())).into();
    }
    event
}

/// Writes one event, whole: lines of several threads do not mix.
pub(super) fn write_event(event: &Value) {
    write(&printable_json(format!("{event}\n")));
}

fn write(text: &str) {
    let mut stream = crate::ui::stderr().lock();
    // Nothing can be told to a user whose standard error is gone.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Estimate, Snapshot, event, over};

    #[test]
    fn a_shorter_line_hides_the_one_before() {
        let mut columns = 0;
        assert_eq!(over("abcd", &mut columns), "\rabcd");
        assert_eq!(over("xy", &mut columns), "\rxy  ");
        assert_eq!(over("", &mut columns), "\r  ");
        assert_eq!(over(&"é".repeat(300), &mut columns).chars().count(), 101);
    }

    #[test]
    fn events_have_steady_names() {
        let seen = Snapshot { bytes: 5, files: 1, total_bytes: 10, total_files: 2, skipped: 3, failed: 4, is_scanned: true };
        let estimate = Estimate { rate: 2.5, left: Some(Duration::from_secs(2)) };
        assert_eq!(
            event("progress", &seen, Some(&estimate), Duration::from_millis(2500)).to_string(),
            "{\"event\":\"progress\",\"bytes\":5,\"files\":1,\"total_bytes\":10,\"total_files\":2,\"is_total_final\":true,\
             \"skipped\":3,\"failed\":4,\"seconds\":2.5,\"bytes_per_second\":2,\"seconds_left\":2.0}"
        );
    }
}
