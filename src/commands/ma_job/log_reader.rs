//! Reads what a task's log has gained, every byte once and in order, from the newest part that the service shows or from a link to
//! the whole log. Survives connections that break, and logs that are replaced by new ones.

use std::time::{Duration, Instant};

use crate::api::modelarts::training_log::{self, LogPreview};
use crate::api::{Api, Download, Fetched};
use crate::error::{Error, Kind};

/// From this length on, only what is new is fetched, with a link: a preview repeats up to 5 MiB each time.
const LONG: u64 = 256 * 1024;

/// How long a link is used; it is valid for five minutes.
const LINK_LIFE: Duration = Duration::from_secs(240);

/// After so many failures in a row, without a byte, of a link, what the preview shows has to do.
pub(super) const LINK_FAILURES: u32 = 5;

/// How much of what was read last is kept, to recognise a log that was replaced by another of the same length or longer.
const REMEMBERED: usize = 256;

/// What a log has to tell.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// What follows is the beginning of a new log: the task was started anew, or the log was rotated.
    Replaced,
    /// So many bytes cannot be had, for this reason.
    Missing(u64, &'a Error),
}

/// Takes what is read.
pub(super) type Sink<'s> = &'s mut (dyn FnMut(Piece<'_>) -> Result<(), Error> + Send);

/// How far a log was read.
#[derive(Debug, Default)]
struct Position {
    /// Bytes read so far.
    read: u64,
    /// The last of them.
    tail: Vec<u8>,
}

impl Position {
    /// Whether this is still the log that was read from: not shorter than that, and with the same bytes at its end.
    fn goes_on(&self, preview: &LogPreview) -> bool {
        if preview.full_size < self.read {
            return false;
        }
        let from = (self.read - self.tail.len() as u64).max(preview.start());
        if !preview.is_exact() || from >= self.read {
            return true;
        }
        let seen = usize::try_from(from - preview.start()).unwrap_or(usize::MAX);
        let length = usize::try_from(self.read - from).unwrap_or(usize::MAX);
        let there = preview.content().as_bytes().get(seen..).and_then(|rest| rest.get(..length));
        there == Some(&self.tail[self.tail.len() - length..])
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(REMEMBERED)..]);
        self.tail.drain(..self.tail.len().saturating_sub(REMEMBERED));
    }
}

/// The log of one task, read as it grows.
#[derive(Debug)]
pub(super) struct LogReader<'a> {
    api: &'a Api,
    id: &'a str,
    task: String,
    position: Position,
    link: Option<(String, Instant)>,
    /// Whether links give any part; `None` while that is not known.
    has_ranges: Option<bool>,
    /// How often in a row the link gave nothing: its host may be out of reach where the service is not.
    link_failures: u32,
}

impl<'a> LogReader<'a> {
    /// Nothing is read yet.
    pub(super) fn new(api: &'a Api, id: &'a str, task: &str) -> Self {
        Self { api, id, task: task.to_owned(), position: Position::default(), link: None, has_ranges: None, link_failures: 0 }
    }

    /// The task.
    pub(super) fn task(&self) -> &str {
        &self.task
    }

    /// Leaves out all but the newest part when that has as many lines as are wanted.
    ///
    /// # Errors
    /// As [`Self::read_new`].
    pub(super) async fn skip_to_newest(&mut self, lines: usize) -> Result<(), Error> {
        let preview = self.preview().await?;
        let found = memchr::memchr_iter(b'\n', preview.content().as_bytes()).count();
        // The first line may have been cut.
        if preview.is_exact() && preview.start() > 0 && found > lines {
            self.position.read = preview.start();
        }
        Ok(())
    }

    /// Hands on what was written since the last time; `false` when there was nothing. After an error it goes on where it stopped.
    ///
    /// # Errors
    /// There is no such job or task; the service refuses or is out of reach; those of the sink.
    pub(super) async fn read_new(&mut self, sink: Sink<'_>) -> Result<bool, Error> {
        if self.position.read >= LONG && self.has_ranges != Some(false) {
            match self.read_link(sink).await {
                Ok(is_new) if self.has_ranges == Some(true) => return Ok(is_new),
                // A preview is read again and again from its beginning, but may well be had.
                Err(trouble) if !trouble.is_refusal && self.link_failures < 2 => return Err(trouble.error),
                _ => self.has_ranges = Some(false),
            }
        }
        let preview = match self.preview().await {
            // It begins anew each time, which may be too much for a line that breaks often; what a link gives can go on.
            Err(error) if error.kind == Kind::Network && self.has_ranges != Some(false) => {
                return self.read_link(sink).await.map_err(|_| error);
            }
            preview => preview?,
        };
        if !self.position.goes_on(&preview) {
            self.begin_anew(sink)?;
        }
        if preview.full_size == self.position.read {
            return Ok(false);
        }
        if preview.start() > self.position.read || !preview.is_exact() {
            // The preview holds the newest part only, or not the very bytes; the whole log has them.
            match self.read_link(sink).await {
                Ok(is_new) => return Ok(is_new),
                Err(trouble) if !trouble.is_refusal && self.link_failures < LINK_FAILURES => return Err(trouble.error),
                Err(trouble) => sink(Piece::Missing(preview.start().saturating_sub(self.position.read), &trouble.error))?,
            }
        }
        let skip = usize::try_from(self.position.read.saturating_sub(preview.start())).unwrap_or(usize::MAX);
        let new = preview.content().as_bytes().get(skip..).unwrap_or_default();
        sink(Piece::Bytes(new))?;
        self.position.remember(new);
        self.position.read = preview.full_size;
        Ok(true)
    }

    async fn preview(&self) -> Result<LogPreview, Error> {
        training_log::preview(self.api, self.id, &self.task).await.map_err(|error| self.context(error))
    }

    fn context(&self, error: crate::api::Error) -> Error {
        Error::from(error).context(&format!("training job [{}], task [{}]", self.id, self.task))
    }

    fn trouble(&self, error: crate::api::Error) -> Trouble {
        let is_refusal = error.is_refusal();
        Trouble { error: self.context(error), is_refusal }
    }

    fn begin_anew(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        self.position = Position::default();
        sink(Piece::Replaced)
    }

    /// Hands on what the link gives beyond what was read, and counts how often it gives nothing.
    async fn read_link(&mut self, sink: Sink<'_>) -> Result<bool, Trouble> {
        let before = self.position.read;
        let outcome = self.try_link(sink).await;
        let has_given = outcome.is_ok() || self.position.read != before;
        self.link_failures = if has_given { 0 } else { self.link_failures.saturating_add(1) };
        outcome
    }

    async fn try_link(&mut self, sink: Sink<'_>) -> Result<bool, Trouble> {
        let mut is_link_new = false;
        loop {
            let link = self.link(&mut is_link_new).await?;
            // The last bytes that were read come again, to see that they are still the same.
            let from = self.position.read - self.position.tail.len() as u64;
            let fetched = self.api.fetch(&link, from).await.map_err(|error| self.trouble(error));
            let download = match fetched {
                Ok(Fetched::Body(download)) => download,
                Ok(Fetched::Beyond(_)) if self.position.read == 0 => return Ok(false),
                Ok(Fetched::Beyond(_)) => {
                    self.begin_anew(sink)?;
                    continue;
                }
                Err(trouble) if trouble.is_refusal && !is_link_new => {
                    // It is no longer valid.
                    self.link = None;
                    continue;
                }
                Err(trouble) => return Err(trouble),
            };
            match self.read_body(download, sink).await? {
                Some(is_new) => return Ok(is_new),
                None => self.begin_anew(sink)?,
            }
        }
    }

    async fn link(&mut self, is_new: &mut bool) -> Result<String, Trouble> {
        match &self.link {
            Some((link, since)) if since.elapsed() < LINK_LIFE => Ok(link.clone()),
            _ => {
                let link = training_log::link(self.api, self.id, &self.task).await.map_err(|error| self.trouble(error))?;
                *is_new = true;
                self.link = Some((link.clone(), Instant::now()));
                Ok(link)
            }
        }
    }

    /// Hands on the bytes after those that were read already; `None` when these are others now.
    async fn read_body(&mut self, mut download: Download, sink: Sink<'_>) -> Result<Option<bool>, Trouble> {
        self.has_ranges = Some(download.has_ranges);
        let mut expected = self.position.tail.clone();
        let mut is_new = false;
        while let Some(mut piece) = download.piece().await.map_err(|error| self.trouble(error))? {
            let known = expected.len().min(piece.len());
            if piece.split_to(known) != expected[..known] {
                return Ok(None);
            }
            expected.drain(..known);
            if piece.is_empty() {
                continue;
            }
            is_new = true;
            sink(Piece::Bytes(&piece))?;
            self.position.remember(&piece);
            self.position.read += piece.len() as u64;
        }
        Ok(expected.is_empty().then_some(is_new))
    }
}

/// Why a link did not give what was wanted.
#[derive(Debug)]
struct Trouble {
    error: Error,
    /// The service said no: asking again would not help.
    is_refusal: bool,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self { error, is_refusal: false }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Position, REMEMBERED};
    use crate::api::modelarts::training_log::LogPreview;

    #[test]
    fn a_log_that_was_replaced_is_recognised() {
        let position = Position { read: 6, tail: b"abcdef".to_vec() };
        let preview = |content: &str, size: u64| {
            LogPreview::new(json!({"content": content, "current_size": content.len(), "full_size": size}))
        };
        for (content, size, goes_on) in [
            ("abcdefgh", 8, true),
            ("abcdef", 6, true),
            ("efgh", 8, true),
            ("gh", 8, true),
            ("xyzdefgh", 8, false),
            ("xfgh", 8, false),
            ("abc", 3, false),
            ("uvwxyz", 6, false),
        ] {
            assert_eq!(position.goes_on(&preview(content, size)), goes_on, "{content} of {size}");
        }
    }

    #[test]
    fn the_last_bytes_are_remembered() {
        let (mut position, mut all) = (Position::default(), Vec::new());
        for length in [1_u8, 200, 3, 255, 0, 90] {
            let bytes: Vec<u8> = (0..length).collect();
            position.remember(&bytes);
            all.extend(bytes);
            assert_eq!(position.tail, all[all.len().saturating_sub(REMEMBERED)..]);
        }
    }
}
