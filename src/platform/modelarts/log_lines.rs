//! Lines of a task's log from any point on. Points are byte offsets; a log only grows, also over restarts of the job, so they stay
//! good.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::modelarts::Training;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Phase};
use crate::platform::modelarts::task::{log_of, unreadable};

/// Most lines of one answer, and most bytes that are looked at for them.
const MOST_LINES: usize = 10_000;
const MOST_BYTES: u64 = 5 << 20;

/// The query. `base_line` is a `start_line` or `end_line` of an earlier answer.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    base_line: Option<String>,
    lines: Option<usize>,
    order: Option<String>,
}

/// Some lines of a log, in its order, with the offsets of their begin and end.
#[derive(Debug, PartialEq, Eq)]
struct Lines {
    start: u64,
    end: u64,
    count: usize,
    content: String,
}

/// `GET …/training-jobs/{id}/logs/{task}`: with order `asc` the lines behind the base (or the first ones), else those before it
/// (or the last ones). A line that is still being written is left out while the job has not ended. One that is longer than an answer
/// can be comes in pieces.
pub(super) async fn list(
    State(training): State<Arc<Training>>,
    Path((_, id, task)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let path = log_of(&training, &id, &task)?;
    let count = wanted.lines.unwrap_or(50);
    if !(1..=MOST_LINES).contains(&count) {
        return Err(ApiError::parameter("lines", "it is 1 to 10000"));
    }
    let is_forward = match wanted.order.as_deref().unwrap_or_default() {
        "asc" => true,
        "" | "desc" => false,
        _ => return Err(ApiError::parameter("order", "it is asc or desc")),
    };
    let base = wanted.base_line.as_deref().filter(|base| !base.is_empty()).map(str::parse::<u64>).transpose();
    let base = base.map_err(|_| ApiError::parameter("base_line", "it is a start_line or end_line of an earlier answer"))?;
    let is_final = Phase::of(&record::get(training.state(), &id)?).is_some_and(Phase::is_final);
    let lines =
        if is_forward { after(&path, base.unwrap_or(0), count, is_final) } else { before(&path, base, count, is_final) };
    let lines = match lines {
        Ok(lines) => lines,
        // It has not been written to yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Lines { start: 0, end: 0, count: 0, content: String::new() },
        Err(error) => return Err(unreadable(&error)),
    };
    Ok(Json(json!({
        "start_line": lines.start.to_string(),
        "end_line": lines.end.to_string(),
        "lines": lines.count,
        "content": lines.content,
    })))
}

fn after(path: &FilePath, base: u64, count: usize, with_last: bool) -> io::Result<Lines> {
    let (bytes, size) = part(path, base, MOST_BYTES)?;
    let base = base.min(size);
    let mut whole = whole(&bytes, with_last && base + bytes.len() as u64 == size);
    if whole == 0 && bytes.len() as u64 == MOST_BYTES {
        whole = character_end(&bytes);
    }
    let end = ends(&bytes[..whole]).nth(count - 1).unwrap_or(whole);
    Ok(lines(&bytes[..end], base))
}

fn before(path: &FilePath, base: Option<u64>, count: usize, with_last: bool) -> io::Result<Lines> {
    let size = path.metadata()?.len();
    let base = base.unwrap_or(size).min(size);
    let from = base.saturating_sub(MOST_BYTES);
    let (bytes, _) = part(path, from, base - from)?;
    // What an earlier answer begins with has been looked at before: it may be the middle of a long line.
    let mut whole = whole(&bytes, with_last || base < size);
    if whole == 0 && from > 0 {
        whole = bytes.len();
    }
    let mut starts: Vec<usize> = if from == 0 { vec![0] } else { Vec::new() };
    starts.extend(ends(&bytes[..whole]).filter(|&end| end < whole));
    let begin = starts.iter().rev().nth(count - 1).or_else(|| starts.first()).copied();
    let begin = begin.unwrap_or_else(|| character_start(&bytes[..whole]));
    Ok(lines(&bytes[begin..whole], from + begin as u64))
}

/// How many of the bytes are whole lines; all when the last one counts as whole too.
fn whole(bytes: &[u8], with_last: bool) -> usize {
    if with_last { bytes.len() } else { bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1) }
}

/// The end of the last character that is whole, in the middle of a line.
fn character_end(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        // Text, or none at all: then it does not matter where it is cut.
        _ => bytes.len(),
    }
}

/// The begin of the first character that is whole, in the middle of a line.
fn character_start(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|&&byte| byte & 0xC0 == 0x80).count()
}

/// The offsets behind each line feed.
fn ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at + 1)
}

fn lines(bytes: &[u8], start: u64) -> Lines {
    let content = String::from_utf8_lossy(bytes).into_owned();
    Lines { start, end: start + bytes.len() as u64, count: content.lines().count(), content }
}

/// Bytes of a file from an offset on, and the file's size.
fn part(path: &FilePath, from: u64, most: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.min(size)))?;
    let mut bytes = Vec::new();
    file.take(most.min(size.saturating_sub(from))).read_to_end(&mut bytes)?;
    Ok((bytes, size))
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, after, before};

    #[test]
    fn a_line_longer_than_an_answer_comes_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        // Two bytes each, so that a piece would end in the middle of one.
        let long = "é".repeat(MOST_BYTES as usize);
        let text = format!("one\n{long}\nlast\n");
        std::fs::write(&path, &text).unwrap();
        let (mut forward, mut at) = (String::new(), 0);
        while at < text.len() as u64 {
            let lines = after(&path, at, 50, true).unwrap();
            assert_eq!((lines.start, lines.end > at), (at, true), "{at}");
            forward.push_str(&lines.content);
            at = lines.end;
        }
        assert!(forward == text, "forward");
        let (mut pieces, mut base) = (Vec::new(), None);
        while base != Some(0) {
            let lines = before(&path, base, 1, true).unwrap();
            assert!(lines.end == base.unwrap_or(text.len() as u64) && lines.start < lines.end, "{base:?}");
            base = Some(lines.start);
            pieces.push(lines.content);
        }
        pieces.reverse();
        assert!(pieces.concat() == text, "backward");
        assert_eq!(pieces.last().unwrap(), "last\n");
        // It is still being written, and longer than an answer by now.
        std::fs::write(&path, &long).unwrap();
        assert_eq!(after(&path, 0, 50, false).unwrap().end, MOST_BYTES);
        assert_eq!(before(&path, None, 50, false).unwrap().start, MOST_BYTES);
    }

    #[test]
    fn pages_in_both_directions_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "one\ntwo\n\nfour\nunfinis").unwrap();
        let first = after(&path, 0, 2, false).unwrap();
        assert_eq!((first.content.as_str(), first.start, first.end, first.count), ("one\ntwo\n", 0, 8, 2));
        let second = after(&path, first.end, 50, false).unwrap();
        assert_eq!((second.content.as_str(), second.end), ("\nfour\n", 14));
        assert_eq!(after(&path, second.end, 50, false).unwrap().content, "");
        assert_eq!(after(&path, second.end, 50, true).unwrap().content, "unfinis");
        assert_eq!(after(&path, 999, 50, true).unwrap().end, 21);
        let last = before(&path, None, 2, false).unwrap();
        assert_eq!((last.content.as_str(), last.start), ("\nfour\n", 8));
        assert_eq!(before(&path, None, 1, true).unwrap().content, "unfinis");
        let earlier = before(&path, Some(last.start), 50, false).unwrap();
        assert_eq!((earlier.content.as_str(), earlier.start, earlier.end), ("one\ntwo\n", 0, 8));
        assert_eq!(before(&path, Some(0), 50, false).unwrap().content, "");
    }
}
