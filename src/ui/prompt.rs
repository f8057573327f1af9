//! Questions. On a terminal they are asked there; without one, answers are read line by line from standard input.

use std::io::{self, BufRead as _};

use crate::auth::secret::Secret;
use crate::error::{Error, Kind};
use crate::ui::{Ui, hidden, text};

impl Ui {
    /// Asks for a line of text. `option` names the option that would have answered the question.
    ///
    /// # Errors
    /// `--no-input`, or standard input is at its end: the error names the option.
    pub fn ask(&self, question: &str, option: &str) -> Result<String, Error> {
        self.may_ask(option)?;
        self.write_error(&format!("{}: ", text::escaped(question)));
        self.answered(read_line()?, option)
    }

    /// Asks for a line that may be left out: an empty answer, the end of standard input and `--no-input` all give `None`.
    ///
    /// # Errors
    /// Standard input cannot be read.
    pub fn ask_optional(&self, question: &str) -> Result<Option<String>, Error> {
        if self.options.no_input {
            return Ok(None);
        }
        match self.ask(question, "") {
            Ok(answer) => Ok(Some(answer).filter(|answer| !answer.is_empty())),
            Err(error) if matches!(error.kind, Kind::Config | Kind::Declined) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for a secret without echoing it.
    ///
    /// # Errors
    /// As [`Ui::ask`]; interrupted at the prompt.
    pub fn ask_secret(&self, question: &str, option: &str) -> Result<Secret, Error> {
        if !self.terminals.stdin {
            return self.ask(question, option).map(Secret::new);
        }
        self.may_ask(option)?;
        let failed = |error| Error::new(Kind::Local, "cannot read from the terminal").caused_by(error);
        let interrupted = || {
            // The question's line is not ended.
            self.write_error("\n");
            Error::new(Kind::Interrupted, "interrupted")
        };
        hidden::ask(text::escaped(question)).map_err(failed)?.map(Secret::new).ok_or_else(interrupted)
    }

    /// Asks for leave to do what cannot be undone; anything but `y` and `yes` is a no.
    ///
    /// # Errors
    /// As [`Ui::ask`]; [`Kind::Declined`] after a no.
    pub fn confirm(&self, question: &str, option: &str) -> Result<(), Error> {
        agreed(&self.ask(&format!("{question} [y/N]"), option)?)
    }

    /// As [`Ui::confirm`], for a command that has taken Ctrl-C on itself: the question ends when `interrupted` does.
    ///
    /// # Errors
    /// As [`Ui::confirm`]; [`Kind::Interrupted`].
    pub async fn confirm_unless(
        &self,
        interrupted: impl Future<Output = ()>,
        question: &str,
        option: &str,
    ) -> Result<(), Error> {
        self.may_ask(option)?;
        self.write_error(&format!("{} [y/N]: ", text::escaped(question)));
        // A read cannot be broken off: its thread is left behind, and the end of the program does not wait for it.
        let reading = tokio::task::spawn_blocking(read_line);
        let answer = tokio::select! {
            biased;
            () = interrupted => {
                self.write_error("\n");
                return Err(Error::new(Kind::Interrupted, "interrupted"));
            }
            answer = reading => answer,
        };
        let answer = answer.map_err(|error| Error::new(Kind::Local, "cannot read standard input").caused_by(error))??;
        agreed(&self.answered(answer, option)?)
    }

    /// The answer; its line ends where no Enter has ended it.
    fn answered(&self, answer: Option<String>, option: &str) -> Result<String, Error> {
        if !self.terminals.stdin || answer.is_none() {
            self.write_error("\n");
        }
        answer.ok_or_else(|| if self.terminals.stdin { unanswered() } else { missing(option) })
    }

    fn may_ask(&self, option: &str) -> Result<(), Error> {
        if self.options.no_input { Err(missing(option)) } else { Ok(()) }
    }
}

fn agreed(answer: &str) -> Result<(), Error> {
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::new(Kind::Declined, "nothing was done, as you did not say yes")),
    }
}

fn missing(option: &str) -> Error {
    Error::new(Kind::Config, format!("{option} is missing and there is nobody to ask")).hint(format!("give {option}"))
}

fn unanswered() -> Error {
    Error::new(Kind::Declined, "nothing was done, as the question was not answered")
}

/// A line of standard input without its line end; `None` at the end.
fn read_line() -> Result<Option<String>, Error> {
    let mut line = String::new();
    let length = io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Error::new(Kind::Local, "cannot read standard input").caused_by(error))?;
    Ok((length > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
}
