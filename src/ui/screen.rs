//! The terminal of the user: drawn anew, or handed over to a program elsewhere.

use std::fs::File;
use std::io::Read as _;

use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

use crate::error::{Error, Kind};
use crate::ui::{Present, Ui, table, text};

/// Most bytes that are read at once.
const PIECE: usize = 16 << 10;
/// Pieces that are read ahead of whoever takes them.
const AHEAD: usize = 4;

/// The terminal passes every key on as it is typed. Dropped, it is as it was before, however that comes about.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Hands the terminal over.
    ///
    /// # Errors
    /// Standard input is no terminal.
    pub fn enter() -> Result<Self, Error> {
        let failed = |error| Error::new(Kind::Local, "cannot take over the terminal").caused_by(std::io::Error::from(error));
        let before = tcgetattr(stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Flush, &raw).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

impl Ui {
    /// Shows rows in the place of what the terminal shows.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn redraw(&self, result: &dyn Present) -> Result<(), Error> {
        let text = text::printable_lines(&table::grid(&self.options.shape.table(result)?, Some(self.width())));
        // Below the last line stands the cursor.
        let text = self.screen_size().map_or_else(|| text.clone(), |(rows, _)| table::cut(&text, usize::from(rows) - 1));
        // Home, then clears to the end only after drawing: nothing flickers.
        let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
        self.write(format!("\x1b[H{lines}\x1b[J").as_bytes())
    }

    /// Whether standard input and output are terminals, so that a program elsewhere can be given them as one.
    pub fn has_screen(&self) -> bool {
        self.terminals.stdin && self.terminals.stdout
    }

    /// Rows and columns of the terminal.
    pub fn screen_size(&self) -> Option<(u16, u16)> {
        let size = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin())).ok()?;
        (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
    }

    /// What comes in on standard input, piece by piece; the channel closes at its end. A thread of its own reads it, which ends with
    /// the process: nothing else can interrupt a read of a terminal.
    ///
    /// # Errors
    /// Standard input is closed.
    pub fn input_pieces(&self) -> Result<mpsc::Receiver<Vec<u8>>, Error> {
        let mut input = self.raw_input()?;
        let (sender, receiver) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = input.read(&mut piece) {
                if sender.blocking_send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    /// Writes bytes to standard error as they are: what a program elsewhere wrote to its own.
    ///
    /// # Errors
    /// Standard error cannot be written.
    pub fn raw_errors(&self, bytes: &[u8]) -> Result<(), Error> {
        use std::io::Write as _;
        let failed = |error| Error::new(Kind::Local, "cannot write to standard error").caused_by(error);
        let mut stream = rustix::io::dup(stderr()).map(File::from).map_err(|error| failed(std::io::Error::from(error)))?;
        stream.write_all(bytes).map_err(failed)
    }
}
