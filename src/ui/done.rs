//! What a command that does something says when it is done.

use serde_json::Value;

use crate::error::{Error, Kind};
use crate::ui::{Document, Format, Ui};

impl Ui {
    /// Says that something was done: one line for people, and the document of it where one was asked for.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn done(&self, message: &str, document: Value) -> Result<(), Error> {
        self.ok(message)?;
        self.done_all(document)
    }

    /// As [`Ui::done`], where people were told of each part already. Columns and queries that do not fit the document are warned of: what
    /// was done stays done, and is no misuse.
    ///
    /// # Errors
    /// As [`Ui::done`].
    pub fn done_all(&self, document: Value) -> Result<(), Error> {
        if self.format() == Format::Table {
            return Ok(());
        }
        match self.emit(&Document(document)) {
            Err(error) if error.kind == Kind::Usage => {
                self.warn(&error.message);
                Ok(())
            }
            other => other,
        }
    }
}
