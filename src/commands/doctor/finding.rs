//! What a check found.

use serde_json::{Value, json};

use crate::error::Error;
use crate::ui::{Present, Table};

/// How it stands with what was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Something may not work, or could not be checked.
    Warn,
    /// Something does not work.
    Fail,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    check: String,
    pub(super) state: State,
    message: String,
    remedies: Vec<String>,
}

impl Finding {
    pub(super) fn new(check: &str, state: State, message: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state, message: message.into(), remedies: Vec::new() }
    }

    /// The failure that an error is, with its hints as remedies.
    pub(super) fn failed(check: &str, error: &Error) -> Self {
        let mut message = error.message.clone();
        for (name, value) in [("", &error.code), ("request ", &error.request_id)] {
            if let Some(value) = value {
                message.push_str(&format!(" ({name}{value})"));
            }
        }
        Self { check: check.to_owned(), state: State::Fail, message, remedies: error.hints.clone() }
    }

    /// Adds what to do about it.
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.iter().any(|finding| finding.state == State::Fail)
    }
}

impl Present for Report {
    fn table(&self) -> Table {
        let mut table = Table::new(["check", "state", "finding", "remedy"]);
        for finding in &self.0 {
            let cells = [&finding.check, finding.state.name(), &finding.message, &finding.remedies.join("; ")];
            table.rows.push(cells.map(str::to_owned).to_vec());
        }
        table
    }

    fn document(&self) -> Value {
        let line = |finding: &Finding| {
            json!({
                "check": finding.check,
                "state": finding.state.name(),
                "message": finding.message,
                "remedies": finding.remedies,
            })
        };
        self.0.iter().map(line).collect()
    }
}
