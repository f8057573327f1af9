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

/// A document that is shown as it is; as a table it is one row a member.
#[derive(Clone, Debug)]
pub struct Document(pub Value);

impl Present for Document {
    fn table(&self) -> Table {
        let mut table = Table::new(["field", "value"]);
        for (name, value) in self.0.as_object().into_iter().flatten() {
            table.rows.push(vec![name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)]);
        }
        table
    }

    fn document(&self) -> Value {
        self.0.clone()
    }
}

/// Everything a command shows implements this once, in `commands/<noun>/`; no command asks which format was chosen.
pub trait Present {
    /// Rows for `--format table` and `csv`. Cells may hold text from a server: control characters are removed on output.
    fn table(&self) -> Table;

    /// The document for `json`, `jsonl` (one line an element when it is an array), `yaml` and `--query`, as the service sent
    /// it, unknown fields included.
    fn document(&self) -> Value;

    /// The elements of [`Present::document`], where it is an array that would have to be made of them: thousands need not be copied
    /// to be written line by line.
    fn elements(&self) -> Option<Vec<&Value>> {
        None
    }

    /// Whether the rows are in the order of `--sort` already, because the service was asked to sort them.
    fn is_sorted(&self) -> bool {
        false
    }
}
