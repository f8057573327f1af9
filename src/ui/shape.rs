//! `--columns`, `--sort` and `--no-header`: which part of a table is shown, and in which order.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use crate::error::{Error, Kind};
use crate::ui::Format;
use crate::ui::present::{Present, Table};

/// A table as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sheet {
    /// Headers.
    pub(super) columns: Vec<String>,
    /// Cells, as many a row as there are columns.
    pub(super) rows: Vec<Vec<String>>,
    /// Whether the headers are left out.
    pub(super) is_headless: bool,
}

impl From<Table> for Sheet {
    fn from(table: Table) -> Self {
        Self { columns: table.columns.into_iter().map(str::to_owned).collect(), rows: table.rows, is_headless: false }
    }
}

/// What the command line says about rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    columns: Vec<String>,
    keys: Vec<Key>,
    no_header: bool,
}

/// One column that rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    column: String,
    is_descending: bool,
}

impl Shape {
    /// Reads the values of `--columns` and `--sort`: names separated by commas; a column to sort by has `-` before it or `:desc`
    /// after it when the largest comes first.
    pub fn new(columns: Option<&str>, sort: Option<&str>, no_header: bool) -> Self {
        let keys = words(sort).map(|word| {
            let lower = word.to_ascii_lowercase();
            let (column, is_descending) = match word.strip_prefix('-') {
                Some(column) => (column, true),
                None if lower.ends_with(":desc") => (&word[..word.len() - 5], true),
                None if lower.ends_with(":asc") => (&word[..word.len() - 4], false),
                None => (word, false),
            };
            Key { column: column.to_owned(), is_descending }
        });
        Self { keys: keys.collect(), columns: words(columns).map(str::to_owned).collect(), no_header }
    }

    /// Refuses what only tables have where documents are written.
    ///
    /// # Errors
    /// Columns or headers are spoken of, and the format or a query makes documents.
    pub fn check(&self, format: Format, has_query: bool) -> Result<(), Error> {
        let has_rows = matches!(format, Format::Table | Format::Csv) && !has_query;
        if has_rows || (self.columns.is_empty() && !self.no_header) {
            return Ok(());
        }
        let option = if self.no_header { "--no-header" } else { "--columns" };
        Err(Error::new(Kind::Usage, format!("{option} is for tables and csv, and documents were asked for"))
            .hint("documents are cut to size with --query, as in --query \"[].metadata.id\""))
    }

    /// The rows and columns that were asked for.
    ///
    /// # Errors
    /// A column that neither the table nor the documents of its rows have.
    pub(super) fn table(&self, result: &dyn Present) -> Result<Sheet, Error> {
        let mut sheet = Sheet::from(result.table());
        sheet.is_headless = self.no_header;
        if self.columns.is_empty() && !self.sorts(result) {
            return Ok(sheet);
        }
        let document = result.document();
        let items = items(&document, sheet.rows.len());
        let order = self.order(result, &sheet, items)?;
        if sheet.columns == ["field", "value"] && !self.columns.is_empty() && !self.columns.iter().all(|name| sheet.has(name)) {
            return self.fields(sheet);
        }
        let wanted = if self.columns.is_empty() { &sheet.columns } else { &self.columns };
        let chosen: Vec<Column> = wanted.iter().map(|name| Column::find(&sheet, items, name)).collect::<Result<_, _>>()?;
        let cells = |position: usize, index: usize| -> Vec<String> {
            chosen.iter().map(|column| column.cell(&sheet, items, index, position).into_owned()).collect()
        };
        let rows = order.iter().enumerate().map(|(position, &index)| cells(position, index)).collect();
        let columns = chosen.iter().map(|column| column.title(&sheet)).collect();
        Ok(Sheet { columns, rows, is_headless: self.no_header })
    }

    /// The document with its elements in the order of `--sort`, where they are the rows of the table.
    ///
    /// # Errors
    /// As [`Shape::table`].
    pub(super) fn document(&self, result: &dyn Present) -> Result<Value, Error> {
        let document = result.document();
        if !self.sorts(result) {
            return Ok(document);
        }
        let sheet = Sheet::from(result.table());
        let Some(items) = items(&document, sheet.rows.len()) else { return Ok(document) };
        Ok(self.order(result, &sheet, Some(items))?.into_iter().map(|index| items[index].clone()).collect())
    }

    /// Whether the rows of this result are put in another order here.
    pub(super) fn sorts(&self, result: &dyn Present) -> bool {
        !self.keys.is_empty() && !result.is_sorted()
    }

    /// The rows by their old numbers, in the new order; rows that are alike stay as they were.
    fn order(&self, result: &dyn Present, sheet: &Sheet, items: Option<&[Value]>) -> Result<Vec<usize>, Error> {
        let mut order: Vec<usize> = (0..sheet.rows.len()).collect();
        if !self.sorts(result) {
            return Ok(order);
        }
        let find = |key: &Key| Ok((Column::find(sheet, items, &key.column)?, key.is_descending));
        let keys: Vec<(Column, bool)> = self.keys.iter().map(find).collect::<Result<_, Error>>()?;
        order.sort_by(|&left, &right| {
            let compare = |(column, is_descending): &(Column, bool)| {
                let cell = |row| column.cell(sheet, items, row, row);
                compare(&cell(left), &cell(right), *is_descending)
            };
            keys.iter().map(compare).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        Ok(order)
    }

    /// Of a table that has a line a property, the properties with these names.
    fn fields(&self, sheet: Sheet) -> Result<Sheet, Error> {
        let mut rows = Vec::new();
        for name in &self.columns {
            let before = rows.len();
            rows.extend(sheet.rows.iter().filter(|row| is_same(&row[0], name)).cloned());
            if rows.len() == before {
                return Err(no_such(name, sheet.rows.iter().map(|row| row[0].as_str())));
            }
        }
        Ok(Sheet { rows, is_headless: self.no_header, ..sheet })
    }
}

/// Where the cells of a column come from.
enum Column {
    /// The table has it.
    Own(usize),
    /// The number of the row, counted anew.
    Number(usize),
    /// The documents have it, at this JSON pointer; with its name.
    Path(String, String),
}

impl Column {
    fn find(sheet: &Sheet, items: Option<&[Value]>, name: &str) -> Result<Self, Error> {
        if let Some(index) = sheet.columns.iter().position(|column| is_same(column, name)) {
            return Ok(if is_same(name, "index") { Self::Number(index) } else { Self::Own(index) });
        }
        let pointer = format!("/{}", name.replace('.', "/"));
        let is_there = match items {
            Some([]) => name.contains('.'),
            Some(items) => items.iter().any(|item| item.pointer(&pointer).is_some()),
            None => false,
        };
        if is_there {
            return Ok(Self::Path(pointer, name.to_owned()));
        }
        Err(no_such(name, sheet.columns.iter().map(String::as_str)))
    }

    fn title(&self, sheet: &Sheet) -> String {
        match self {
            Self::Own(index) | Self::Number(index) => sheet.columns[*index].clone(),
            Self::Path(_, name) => name.clone(),
        }
    }

    /// The cell of the row that was at `row` and is shown at `position`, both from 0.
    fn cell<'a>(&self, sheet: &'a Sheet, items: Option<&'a [Value]>, row: usize, position: usize) -> Cow<'a, str> {
        match self {
            Self::Own(index) => Cow::from(sheet.rows[row].get(*index).map_or("", String::as_str)),
            Self::Number(_) => Cow::from((position + 1).to_string()),
            Self::Path(pointer, _) => match items.and_then(|items| items[row].pointer(pointer)) {
                None | Some(Value::Null) => Cow::from(""),
                Some(Value::String(text)) => Cow::from(text.as_str()),
                Some(other) => Cow::from(other.to_string()),
            },
        }
    }
}

impl Sheet {
    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| is_same(column, name))
    }
}

/// The documents of the rows, where there is one each.
fn items(document: &Value, rows: usize) -> Option<&[Value]> {
    document.as_array().map(Vec::as_slice).filter(|items| items.len() == rows)
}

/// Numbers by their value, else texts without regard to case; what is empty or absent comes last either way.
fn compare(left: &str, right: &str, is_descending: bool) -> Ordering {
    let is_absent = |text: &str| text.is_empty() || text == "N/A";
    let by_presence = is_absent(left).cmp(&is_absent(right));
    if by_presence.is_ne() {
        return by_presence;
    }
    let ordering = match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.to_lowercase().cmp(&right.to_lowercase()).then_with(|| left.cmp(right)),
    };
    if is_descending { ordering.reverse() } else { ordering }
}

/// Names are the same whatever their case, and whether blanks, `-` or `_` join their words.
fn is_same(column: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    plain(column) == plain(name)
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
}

fn no_such<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let known: Vec<&str> = known.collect();
    let mut error = Error::new(Kind::Usage, format!("there is no column [{name}]"));
    if let Some(nearest) = crate::error::nearest(name, known.iter().copied()) {
        error = error.hint(format!("did you mean [{nearest}]?"));
    }
    error.hint(format!("columns are: {}; a field of the document can be named too, as in metadata.id", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Shape;
    use crate::error::Kind;
    use crate::ui::present::{Present, Table};

    struct List;

    impl Present for List {
        fn table(&self) -> Table {
            let mut table = Table::new(["index", "name", "size"]);
            for (index, (name, size)) in [("b", "10"), ("A", "9"), ("c", "")].into_iter().enumerate() {
                table.rows.push(vec![(index + 1).to_string(), name.to_owned(), size.to_owned()]);
            }
            table
        }

        fn document(&self) -> Value {
            json!([{"n": "b", "more": {"x": 1}}, {"n": "A"}, {"n": "c", "more": {"x": "t"}}])
        }
    }

    struct Detail;

    impl Present for Detail {
        fn table(&self) -> Table {
            let rows = [["id", "7"], ["code dir", "/a"]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
            Table { columns: vec!["field", "value"], rows }
        }

        fn document(&self) -> Value {
            json!({"id": "7"})
        }
    }

    fn cells(columns: Option<&str>, sort: Option<&str>) -> Vec<String> {
        let sheet = Shape::new(columns, sort, false).table(&List).unwrap();
        sheet.rows.iter().map(|row| row.join(" ")).collect()
    }

    #[test]
    fn columns_are_chosen_by_name_or_by_their_place_in_the_document() {
        assert_eq!(cells(Some("size, NAME"), None), ["10 b", "9 A", " c"]);
        assert_eq!(cells(Some("n,more.x"), None), ["b 1", "A ", "c t"]);
        let error = Shape::new(Some("nam"), None, false).table(&List).unwrap_err();
        assert_eq!((error.kind, error.hints[0].as_str()), (Kind::Usage, "did you mean [name]?"));
    }

    #[test]
    fn rows_are_sorted_as_numbers_or_texts_with_what_is_absent_last() {
        assert_eq!(cells(None, Some("size")), ["1 A 9", "2 b 10", "3 c "]);
        assert_eq!(cells(Some("name"), Some("-size")), ["b", "A", "c"]);
        assert_eq!(cells(Some("name"), Some("NAME:desc")), ["c", "b", "A"]);
        let document = Shape::new(None, Some("name"), false).document(&List).unwrap();
        assert_eq!(document[0]["n"], "A");
        assert!(Shape::new(None, Some("nothing"), false).document(&List).is_err());
    }

    #[test]
    fn of_a_table_of_properties_the_named_ones_are_shown() {
        let sheet = Shape::new(Some("code_dir"), None, true).table(&Detail).unwrap();
        assert_eq!((sheet.rows, sheet.is_headless), (vec![vec!["code dir".to_owned(), "/a".to_owned()]], true));
        assert!(Shape::new(Some("nothing"), None, false).table(&Detail).is_err());
    }
}
