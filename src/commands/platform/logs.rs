//! `ma-cli platform logs`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use serde_json::{Value, json};

use super::LogsArgs;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::platform::files;
use crate::ui::{Format, Present, Table};

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Most bytes that are read at once.
const PIECE: u64 = 1 << 20;

/// Prints the log, or its end, and goes on if asked to.
pub(super) async fn run(ctx: &Ctx, args: LogsArgs) -> Result<(), Error> {
    let path = args.place.resolve(ctx).join(files::LOG);
    let local = |error| Error::new(Kind::Local, format!("cannot read [{}]", path.display())).caused_by(error);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("there is no log [{}]", path.display());
            return Err(Error::new(Kind::NotFound, message).hint("start a platform with: ma-cli platform start"));
        }
        opened => opened.map_err(local)?,
    };
    if let Some(lines) = args.tail {
        let start = start_of_last(&mut file, lines).map_err(local)?;
        file.seek(SeekFrom::Start(start)).map_err(local)?;
    }
    let format = ctx.ui.format();
    if args.follow && !matches!(format, Format::Table | Format::Jsonl) {
        return Err(Error::new(Kind::Usage, "what is followed is text or JSON Lines").hint("give -F jsonl"));
    }
    let mut unwritten = Vec::new();
    loop {
        let mut piece = Vec::new();
        let length = file.by_ref().take(PIECE).read_to_end(&mut piece).map_err(local)?;
        if format == Format::Table {
            ctx.ui.remote_text(&String::from_utf8_lossy(&piece))?;
        } else {
            unwritten.append(&mut piece);
        }
        if format == Format::Jsonl {
            let end = unwritten.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
            ctx.ui.emit(&Lines::read(unwritten.drain(..end).as_slice()))?;
        }
        match (length, args.follow) {
            (1.., _) => {}
            (0, true) => tokio::time::sleep(LOOK_EVERY).await,
            (0, false) if format == Format::Table => return Ok(()),
            (0, false) => return ctx.ui.emit(&Lines::read(&unwritten)),
        }
    }
}

/// Lines of the log, for programs.
struct Lines(Vec<String>);

impl Lines {
    fn read(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect())
    }
}

impl Present for Lines {
    fn table(&self) -> Table {
        Table { rows: self.0.iter().map(|line| vec![line.clone()]).collect(), ..Table::new(["line"]) }
    }

    fn document(&self) -> Value {
        self.0.iter().map(|line| json!({"line": line})).collect()
    }
}

/// Where the last lines begin, found from the end so that a long log is not read.
fn start_of_last(file: &mut File, lines: usize) -> std::io::Result<u64> {
    let mut start = file.metadata()?.len();
    // The line end at the very end closes the last line, it does not open another one.
    let mut missing = lines + 1;
    let mut is_last = true;
    while start > 0 {
        let length = start.min(64 << 10);
        let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
        file.seek(SeekFrom::Start(start - length))?;
        file.read_exact(&mut piece)?;
        if std::mem::take(&mut is_last) && piece.last() != Some(&b'\n') {
            missing -= 1;
        }
        for (index, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if missing <= 1 {
                return Ok(start - length + index as u64 + 1);
            }
            missing -= 1;
        }
        start -= length;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::start_of_last;

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        for (text, lines, rest) in [
            ("a\nb\nc\n", 0, ""),
            ("a\nb\nc\n", 1, "c\n"),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc\n", 9, "a\nb\nc\n"),
            ("a\nb\nc", 1, "c"),
            ("a\nb\nc", 2, "b\nc"),
            ("", 3, ""),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let start = start_of_last(&mut file, lines).unwrap();
            assert_eq!(&text[usize::try_from(start).unwrap()..], rest, "{lines} of {text:?}");
        }
    }
}
