//! A log as a result: the document that the service sent, or one row a line.

use serde_json::Value;

use crate::api::modelarts::training_log::LogPreview;
use crate::ui::{Present, Table};

/// The newest part of a task's log.
#[derive(Debug)]
pub(super) struct LogTable(pub(super) LogPreview);

impl Present for LogTable {
    fn table(&self) -> Table {
        let mut table = Table::new(["line"]);
        table.rows = self.0.content().lines().map(|line| vec![line.to_owned()]).collect();
        table
    }

    fn document(&self) -> Value {
        self.0.document.clone()
    }
}
