//! Standard output for bytes that are no text.

use std::fs::File;

use crate::error::{Error, Kind};
use crate::ui::Ui;

impl Ui {
    /// A writer of raw bytes, unbuffered, that can be taken to another thread. Nothing else may be written while it is used.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn raw_output(&self) -> Result<File, Error> {
        let closed = |error| Error::new(Kind::Local, "cannot write to standard output").caused_by(std::io::Error::from(error));
        rustix::io::dup(rustix::stdio::stdout()).map(File::from).map_err(closed)
    }

    /// A reader of standard input's raw bytes, unbuffered, that can be taken to another thread.
    ///
    /// # Errors
    /// Standard input is closed.
    pub fn raw_input(&self) -> Result<File, Error> {
        let closed = |error| Error::new(Kind::Local, "cannot read standard input").caused_by(std::io::Error::from(error));
        rustix::io::dup(rustix::stdio::stdin()).map(File::from).map_err(closed)
    }
}
