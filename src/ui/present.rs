//! What a command shows: rows for people, one document for programs.

use serde_json::Value;

/// A table: headers and rows of plain text cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Column headers, as the original spells them.
    pub columns: Vec<&'static str>,
    /// One vector of cells a row, as many as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(columns: impl Into<Vec<&'static str>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }
}

/// Everything a command shows implements this once, in `commands/<noun>/`; no command asks which format was chosen.
pub trait Present {
    /// Rows for `--format table` and `csv`. Cells may hold text from a server: control characters are removed on output.
    fn table(&self) -> Table;

    /// The document for `json`, `jsonl` (one line an element when it is an array), `yaml` and `--query`, as the service sent
    /// it, unknown fields included.
    fn document(&self) -> Value;
}
