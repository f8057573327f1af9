//! What becomes of a log's bytes before they are shown: whole lines, chosen, with the task before them.

use std::collections::VecDeque;

use regex::Regex;
use serde_json::json;
use time::OffsetDateTime;

use crate::commands::ma_job::moment;
use crate::ui::text::printable_lines;

/// What the platform writes between the lines of the user's program (user guide, "system log filter").
const SYSTEM_MARKS: [&str; 2] = ["[ModelArts Service Log]", "Platform=ModelArts-Service"];

/// A line without an end is shown in pieces of this length.
const LONGEST_LINE: usize = 1 << 20;

/// How lines look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As they are.
    Plain,
    /// With this before each.
    Prefix(String),
    /// JSON Lines: task and line.
    Json(String),
}

/// Which lines are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Those that this is found in.
    pub(super) grep: Option<Regex>,
    /// Not those of the platform itself.
    pub(super) no_system: bool,
    /// Those from this time on.
    pub(super) since: Option<OffsetDateTime>,
    /// The last ones of what is there at first.
    pub(super) tail: Option<usize>,
}

impl Choice {
    /// How many of the last lines are wanted when nothing else is asked of them.
    pub(super) fn plain_tail(&self) -> Option<usize> {
        let is_plain = self.grep.is_none() && !self.no_system && self.since.is_none();
        self.tail.filter(|_| is_plain)
    }
}

/// The lines of one log.
#[derive(Debug)]
pub(super) struct Lines {
    look: Look,
    choice: Choice,
    /// Control characters are left out.
    is_cleaned: bool,
    /// What has no end yet.
    pending: Vec<u8>,
    has_begun: bool,
    /// The last lines so far, until [`Self::release`].
    kept: Option<VecDeque<Vec<u8>>>,
    /// What was shown last has no line end.
    pub(super) is_line_open: bool,
}

impl Lines {
    /// Lines for a terminal (`is_cleaned`), or for a file or pipe.
    pub(super) fn new(look: Look, choice: Choice, is_cleaned: bool) -> Self {
        let kept = choice.tail.map(|_| VecDeque::new());
        let has_begun = choice.since.is_none();
        Self { look, choice, is_cleaned, pending: Vec::new(), has_begun, kept, is_line_open: false }
    }

    /// Takes bytes of the log; what is to be shown of them is added to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        if self.is_untouched() {
            // Also what has no line end yet, such as dots that show progress.
            let whole = whole_characters(rest);
            self.show(&rest[..whole], out);
            rest = &rest[whole..];
        }
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.line(&rest[..=end], out);
            rest = &rest[end + 1..];
        }
        if rest.len() > LONGEST_LINE {
            self.line(rest, out);
            rest = &[];
        }
        self.pending.extend_from_slice(rest);
    }

    /// What is there at first has been read: the last lines of it are shown, and from now on all.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) {
        if let Some(mut kept) = self.kept.take() {
            // A line that has no end yet is one of the last too.
            if !self.pending.is_empty() && self.choice.tail == Some(kept.len()) {
                kept.pop_front();
            }
            kept.iter().for_each(|line| out.extend_from_slice(line));
            self.choice.tail = None;
        }
        // What is written from now on is new, whatever times it bears.
        self.has_begun = true;
    }

    /// The log is over, or another one begins: what has no line end is shown all the same.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let pending = std::mem::take(&mut self.pending);
        if self.is_untouched() {
            self.show(&pending, out);
        } else if !pending.is_empty() {
            self.line(&pending, out);
        }
    }

    fn is_untouched(&self) -> bool {
        let Choice { grep, no_system, since, tail } = &self.choice;
        self.look == Look::Plain && grep.is_none() && !no_system && since.is_none() && tail.is_none()
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if !self.has_begun {
            let since = self.choice.since;
            self.has_begun = moment::in_line(text).is_some_and(|time| since.is_none_or(|since| time >= since));
        }
        let is_system = self.choice.no_system && SYSTEM_MARKS.iter().any(|mark| text.contains(mark));
        let is_found = self.choice.grep.as_ref().is_none_or(|grep| grep.is_match(text));
        if !self.has_begun || is_system || !is_found {
            return;
        }
        match (&mut self.kept, self.choice.tail) {
            (Some(kept), Some(most)) => {
                let mut shown = Vec::new();
                render(&self.look, self.is_cleaned, line, text, &mut shown);
                kept.push_back(shown);
                if kept.len() > most {
                    kept.pop_front();
                }
            }
            _ => render(&self.look, self.is_cleaned, line, text, out),
        }
    }

    fn show(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.is_line_open = bytes.last().map_or(self.is_line_open, |&last| last != b'\n');
        if self.is_cleaned {
            out.extend_from_slice(printable_lines(&String::from_utf8_lossy(bytes)).as_bytes());
        } else {
            out.extend_from_slice(bytes);
        }
    }
}

/// Adds one line; its bytes with their end, and its text without.
fn render(look: &Look, is_cleaned: bool, line: &[u8], text: &str, out: &mut Vec<u8>) {
    match look {
        Look::Json(task) => {
            out.extend_from_slice(json!({"task": task, "line": text}).to_string().as_bytes());
            out.push(b'\n');
            return;
        }
        Look::Prefix(prefix) => out.extend_from_slice(prefix.as_bytes()),
        Look::Plain => {}
    }
    if is_cleaned {
        out.extend_from_slice(printable_lines(text).as_bytes());
        out.push(b'\n');
    } else {
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
}

/// Length of the bytes without a character that is cut at their end.
fn whole_characters(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    let start = (from..bytes.len()).rev().find(|&index| bytes[index] >= 0xC0);
    let Some(start) = start else { return bytes.len() };
    let length = match bytes[start] {
        0xF0.. => 4,
        0xE0.. => 3,
        _ => 2,
    };
    if start + length > bytes.len() { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use time::macros::datetime;

    use super::{Choice, Lines, Look};

    fn shown(look: Look, choice: Choice, pieces: &[&[u8]]) -> String {
        let mut lines = Lines::new(look, choice, false);
        let mut out = Vec::new();
        pieces.iter().for_each(|piece| lines.push(piece, &mut out));
        lines.release(&mut out);
        lines.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    const LOG: &[&[u8]] = &[
        b"[ModelArts Service Log][init] x\nepo",
        b"ch 1 loss 2\nepoch",
        b" 2 loss 1\ntime=\"..\" Platform=ModelArts-Service\nend",
    ];

    #[test]
    fn lines_are_chosen_whole_however_they_come() {
        let all =
            "[ModelArts Service Log][init] x\nepoch 1 loss 2\nepoch 2 loss 1\ntime=\"..\" Platform=ModelArts-Service\nend";
        assert_eq!(shown(Look::Plain, Choice::default(), LOG), all);
        let grep = Choice { grep: Some(Regex::new("loss [1-9]$").unwrap()), ..Choice::default() };
        assert_eq!(shown(Look::Plain, grep, LOG), "epoch 1 loss 2\nepoch 2 loss 1\n");
        let own = Choice { no_system: true, ..Choice::default() };
        assert_eq!(shown(Look::Prefix("[w] ".to_owned()), own, LOG), "[w] epoch 1 loss 2\n[w] epoch 2 loss 1\n[w] end\n");
        let last = Choice { tail: Some(2), ..Choice::default() };
        assert_eq!(shown(Look::Plain, last, LOG), "time=\"..\" Platform=ModelArts-Service\nend");
        let json = shown(Look::Json("worker-1".to_owned()), Choice { no_system: true, ..Choice::default() }, LOG);
        assert!(json.starts_with("{\"task\":\"worker-1\",\"line\":\"epoch 1 loss 2\"}\n"), "{json}");
    }

    #[test]
    fn lines_since_a_time_begin_with_the_first_that_bears_one() {
        let log: &[&[u8]] = &[b"none\n2024-05-01 10:00:00 a\nmore\n[2024-05-01T12:00:00Z] b\nmore\n2023-01-01 00:00:00 c\n"];
        let since = Choice { since: Some(datetime!(2024-05-01 11:00 UTC)), ..Choice::default() };
        assert_eq!(shown(Look::Plain, since, log), "[2024-05-01T12:00:00Z] b\nmore\n2023-01-01 00:00:00 c\n");
    }

    #[test]
    fn a_character_that_comes_in_two_pieces_stays_whole() {
        let mut lines = Lines::new(Look::Plain, Choice::default(), true);
        let mut out = Vec::new();
        for byte in "ä€😀\u{1b}[31m".as_bytes() {
            lines.push(&[*byte], &mut out);
        }
        assert_eq!(String::from_utf8(out).unwrap(), "ä€😀[31m");
    }
}
