//! What the user sees: standard output is data, everything else goes to standard error.
//!
//! In the table format the original's `[OK]` lines are data too; with any other format standard output is exactly one document.

pub mod chart;
pub mod defect;
mod document;
mod done;
mod hidden;
pub mod present;
pub mod progress;
mod prompt;
mod raw;
mod report;
mod room;
pub mod screen;
mod shape;
mod table;
pub mod text;
pub mod trace;
mod zone;

use std::io::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

pub use document::check as check_query;
pub use present::{Document, Present, Table};
pub use shape::Shape;
pub use zone::Zone;

use crate::error::{Error, Kind, nearest};

/// How results are written (`-F/--format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Grid tables and `[OK]` lines, for people.
    #[default]
    Table,
    /// One JSON document, indented, keys as the service sent them.
    Json,
    /// One JSON document a line, one line an item.
    Jsonl,
    /// One YAML document.
    Yaml,
    /// Comma-separated rows with a header.
    Csv,
}

impl Format {
    /// The words of `-F/--format` and `MA_CLI_FORMAT`.
    pub const NAMES: [&str; 5] = ["table", "json", "jsonl", "yaml", "csv"];
}

/// What stands at the other end of the three streams, and what the environment says about colour.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminals {
    /// Standard input is a terminal.
    pub stdin: bool,
    /// Standard output is a terminal.
    pub stdout: bool,
    /// Standard error is a terminal.
    pub stderr: bool,
    /// The process runs in a cell of a Jupyter notebook, which shows standard error, terminal or not.
    pub is_notebook: bool,
    /// Only ASCII can be shown.
    pub is_ascii: bool,
    /// `NO_COLOR` is set or the terminal is dumb.
    pub is_plain: bool,
    /// `CLICOLOR_FORCE` is set.
    pub is_color_forced: bool,
    /// Where the user is: of the times in tables.
    pub zone: Zone,
}

/// What the command line says about output.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-F/--format`, or the value of `MA_CLI_FORMAT`.
    pub format: Format,
    /// `--query`: a JMESPath expression applied to the document.
    pub query: Option<String>,
    /// `--columns`, `--sort` and `--no-header`.
    pub shape: Shape,
    /// `--no-progress`.
    pub no_progress: bool,
    /// `--no-color`.
    pub no_color: bool,
    /// `--no-input`: never ask.
    pub no_input: bool,
    /// `-D/--debug`: causes and traces.
    pub debug: bool,
}

/// Writes to the user, asks the user. One writer for each stream.
#[derive(Clone, Debug)]
pub struct Ui {
    options: Options,
    terminals: Terminals,
    /// Whether everything on standard error is JSON Lines; shared by all that write there.
    json_lines: Arc<AtomicBool>,
}

impl Ui {
    /// Decides once what the streams can show.
    pub fn new(options: Options, terminals: Terminals) -> Self {
        Self { terminals, options, json_lines: Arc::default() }
    }

    /// The chosen format; `--query` implies JSON.
    pub fn format(&self) -> Format {
        match (self.options.format, &self.options.query) {
            (Format::Table | Format::Csv, Some(_)) => Format::Json,
            (format, _) => format,
        }
    }

    /// Whether only a part of the document was asked for, with `--query`.
    pub fn has_query(&self) -> bool {
        self.options.query.is_some()
    }

    /// Whether a progress line may be drawn on standard error.
    pub fn shows_progress(&self) -> bool {
        self.terminals.stderr && !self.options.no_progress
    }

    /// The zone of the times in tables.
    pub fn zone(&self) -> Zone {
        self.terminals.zone
    }

    /// Whether standard output is a terminal.
    pub fn is_on_terminal(&self) -> bool {
        self.terminals.stdout
    }

    /// The word for standard output, in a colour of its own for each of a few indexes where that shows colours.
    pub fn label(&self, word: &str, index: usize) -> String {
        self.paint(&text::printable(word), LABELS[index % LABELS.len()], self.terminals.stdout)
    }

    /// From now on everything on standard error is JSON Lines, for the program that reads them.
    fn set_json_lines(&self) {
        self.json_lines.store(true, Ordering::Relaxed);
    }

    /// Whether `-D/--debug` was given.
    pub fn is_debug(&self) -> bool {
        self.options.debug
    }

    /// Shows a result in the chosen format on standard output.
    ///
    /// # Errors
    /// The expression of `--query` is wrong, or standard output cannot be written.
    pub fn emit(&self, result: &dyn Present) -> Result<(), Error> {
        let text = match self.format() {
            Format::Table => table::grid(&self.options.shape.table(result)?, self.terminals.stdout.then(|| self.width())),
            Format::Csv => table::csv(&self.options.shape.table(result)?, self.terminals.zone),
            format => match result.elements() {
                Some(elements) if format == Format::Jsonl && !self.has_query() && !self.options.shape.sorts(result) => {
                    document::lines(elements)?
                }
                _ => document::render(self.options.shape.document(result)?, format, self.options.query.as_deref())?,
            },
        };
        // Rows and bare texts may hold what a stranger wrote.
        self.remote_text(&text)
    }

    /// Shows a result that is no table: in the chosen format, or in this one where none was chosen.
    ///
    /// # Errors
    /// As [`Ui::emit`]; rows were asked for as csv.
    pub fn emit_as(&self, result: &dyn Present, instead: Format) -> Result<(), Error> {
        self.needs_no_rows()?;
        let format = if self.format() == Format::Table { instead } else { self.format() };
        self.remote_text(&document::render(result.document(), format, self.options.query.as_deref())?)
    }

    /// For a result that is no table; before the request, so that nothing is done whose result cannot be shown.
    ///
    /// # Errors
    /// Rows were asked for as csv.
    pub fn needs_no_rows(&self) -> Result<(), Error> {
        let problem =
            || Error::new(Kind::Usage, "this has no rows that could be written as csv").hint("give -F json or -F yaml");
        if self.format() == Format::Csv { Err(problem()) } else { Ok(()) }
    }

    /// Whether results are drawn for somebody who looks: rows on a terminal.
    pub fn draws(&self) -> bool {
        self.terminals.stdout && self.format() == Format::Table
    }

    /// Reports success: `[OK] message`, on standard output in the table format, else on standard error.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn ok(&self, message: &str) -> Result<(), Error> {
        let is_data = self.format() == Format::Table;
        let terminal = if is_data { self.terminals.stdout } else { self.terminals.stderr };
        let line = format!("{} {}\n", self.paint("[OK]", GREEN, terminal), self.shown(message));
        if is_data {
            self.write(line.as_bytes())
        } else {
            self.tell("ok", message, &line);
            Ok(())
        }
    }

    /// Writes one line of text for people: to standard output in the table format, else to standard error.
    ///
    /// # Errors
    /// The stream cannot be written.
    pub fn line(&self, message: &str) -> Result<(), Error> {
        let line = format!("{}\n", self.shown(message));
        if self.format() == Format::Table {
            self.write(line.as_bytes())
        } else {
            self.tell("note", message, &line);
            Ok(())
        }
    }

    /// Writes text that came from a server, such as a log, to standard output: as it is into a pipe or file, without control
    /// characters (but tabs and line ends) to a terminal.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn remote_text(&self, message: &str) -> Result<(), Error> {
        if self.terminals.stdout {
            self.write(text::printable_lines(message).as_bytes())
        } else {
            self.write(message.as_bytes())
        }
    }

    /// Writes bytes to standard output as they are.
    ///
    /// # Errors
    /// Standard output cannot be written; a reader that went away is [`Kind::BrokenPipe`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stream = stdout().lock();
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::new(Kind::BrokenPipe, "the reader of standard output went away"),
            _ => Error::new(Kind::Local, "cannot write to standard output").caused_by(error),
        })
    }

    /// Warns on standard error: `[WARN] message`.
    pub fn warn(&self, message: &str) {
        let line = format!("{} {}\n", self.paint("[WARN]", YELLOW, self.terminals.stderr), self.shown(message));
        self.tell("warning", message, &line);
    }

    /// Writes a line to standard error.
    pub fn note(&self, message: &str) {
        let line = format!("{}\n", self.shown(message));
        self.tell("note", message, &line);
    }

    /// Writes text to standard error, with the lines that it has.
    pub fn note_lines(&self, text: &str) {
        self.tell("note", text, &format!("{}\n", text::printable_lines(text)));
    }

    /// Prints the error: text, or one JSON line when a document format was chosen.
    pub fn report(&self, error: &Error) {
        self.write_error(&self.error_text(error));
    }

    /// What [`Ui::report`] prints.
    pub fn error_text(&self, error: &Error) -> String {
        if self.format() == Format::Table && !self.json_lines.load(Ordering::Relaxed) {
            report::text(error, &self.paint("[ERROR]", RED, self.terminals.stderr), self.options.debug)
        } else {
            report::json(error)
        }
    }

    /// The line, or the message as an event where standard error is JSON Lines.
    fn tell(&self, event: &str, message: &str, line: &str) {
        if self.json_lines.load(Ordering::Relaxed) {
            self.write_error(&text::printable_json(format!("{}\n", json!({"event": event, "message": message}))));
        } else {
            self.write_error(line);
        }
    }

    fn write_error(&self, text: &str) {
        // Nothing can be told to a user whose standard error is gone.
        let _ = stderr().lock().write_all(text.as_bytes());
    }

    /// One line, whatever names are in it.
    fn shown(&self, message: &str) -> String {
        text::escaped(message)
    }

    /// The word in colour, if the stream it goes to is a terminal (or colour is forced) and nobody asked for plain text.
    fn paint(&self, word: &str, color: &str, is_terminal: bool) -> String {
        let is_plain = self.options.no_color || self.terminals.is_plain;
        if !is_plain && (is_terminal || self.terminals.is_color_forced) {
            format!("\x1b[{color}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }

    /// Terminal width, or 120 columns where there is no terminal.
    pub fn width(&self) -> u16 {
        let size = self.terminals.stdout.then(|| rustix::termios::tcgetwinsize(stdout()).ok()).flatten();
        width_for(size.map_or(0, |size| size.ws_col))
    }
}

/// The width for a terminal that says it has so many columns. Those that programs make (`expect`, `script`, `docker exec -t`) often
/// say 0: they do not know.
fn width_for(columns: u16) -> u16 {
    const UNKNOWN: u16 = 120;
    const LEAST: u16 = 40;
    if columns == 0 { UNKNOWN } else { columns.max(LEAST) }
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
/// Cyan, magenta, yellow, green, blue, and these in bright.
const LABELS: [&str; 10] = ["36", "35", "33", "32", "34", "96", "95", "93", "92", "94"];

#[expect(clippy::disallowed_methods, reason = "the one writer of standard output")]
fn stdout() -> io::Stdout {
    io::stdout()
}

#[expect(clippy::disallowed_methods, reason = "the one writer of standard error")]
fn stderr() -> io::Stderr {
    io::stderr()
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word.to_ascii_lowercase().as_str() {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::Jsonl),
            "yaml" => Ok(Self::Yaml),
            "csv" => Ok(Self::Csv),
            _ => {
                let mut error = Error::new(Kind::Usage, format!("[{word}] is not an output format"));
                error.hints.extend(nearest(word, Self::NAMES).map(|meant| format!("did you mean [{meant}]?")));
                Err(error.hint(format!("use one of {}", Self::NAMES.join(", "))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GREEN, Options, Terminals, Ui, width_for};

    #[test]
    fn a_terminal_that_does_not_know_its_width_is_wide() {
        assert_eq!([0, 1, 80, 300].map(width_for), [120, 40, 80, 300]);
        assert_eq!(Ui::new(Options::default(), Terminals::default()).width(), 120);
    }

    #[test]
    fn each_stream_decides_its_colour() {
        let terminals = Terminals { stderr: true, ..Terminals::default() };
        let ui = Ui::new(Options::default(), terminals);
        assert_eq!(ui.paint("[OK]", GREEN, ui.terminals.stdout), "[OK]", "standard output is a file");
        assert_eq!(ui.paint("[OK]", GREEN, ui.terminals.stderr), "\u{1b}[32m[OK]\u{1b}[0m");
        let plain = Ui::new(Options { no_color: true, ..Options::default() }, terminals);
        assert_eq!(plain.paint("[OK]", GREEN, true), "[OK]");
    }
}
