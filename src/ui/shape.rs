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
    /// As [`Table::has_properties`].
    pub(super) has_properties: bool,
    /// Whether the user named the columns.
    pub(super) is_chosen: bool,
}

impl From<Table> for Sheet {
    fn from(table: Table) -> Self {
        let columns = table.columns.into_iter().map(str::to_owned).collect();
        Self { columns, rows: table.rows, has_properties: table.has_properties, ..Self::default() }
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

impl Key {
    fn is_empty(&self) -> bool {
        self.column.is_empty()
    }
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

    /// Refuses names that are empty, and what only tables have where documents are written.
    ///
    /// # Errors
    /// A name is empty; columns or headers are spoken of, and the format or a query makes documents.
    pub fn check(&self, format: Format, has_query: bool) -> Result<(), Error> {
        let names = [("--columns", self.columns.iter().any(String::is_empty)), ("--sort", self.keys.iter().any(Key::is_empty))];
        if let Some((option, _)) = names.iter().find(|(_, is_empty)| *is_empty) {
            return Err(Error::new(Kind::Usage, format!("{option} has a name that is empty"))
                .hint(format!("give names separated by single commas, as in {option} name,status")));
        }
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
        sheet.is_chosen = !self.columns.is_empty();
        if self.columns.is_empty() && !self.sorts(result) {
            return Ok(sheet);
        }
        let document = result.document();
        let items = items(&document, sheet.rows.len());
        let order = self.order(result, &sheet, items)?;
        if sheet.has_properties && !self.columns.is_empty() && !self.columns.iter().all(|name| sheet.has(name)) {
            return self.properties(sheet);
        }
        let wanted = if self.columns.is_empty() { &sheet.columns } else { &self.columns };
        let chosen: Vec<Column> = wanted.iter().map(|name| Column::find(&sheet, items, name)).collect::<Result<_, _>>()?;
        let cells = |position: usize, index: usize| -> Vec<String> {
            chosen.iter().map(|column| column.cell(&sheet, items, index, position).into_owned()).collect()
        };
        let rows = order.iter().enumerate().map(|(position, &index)| cells(position, index)).collect();
        let columns = chosen.iter().map(|column| column.title(&sheet)).collect();
        Ok(Sheet { columns, rows, ..sheet })
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
        let ranks = |row: usize| -> Vec<Rank> {
            keys.iter().map(|(column, _)| Rank::of(&column.cell(sheet, items, row, row))).collect()
        };
        let ranks: Vec<Vec<Rank>> = order.iter().map(|&row| ranks(row)).collect();
        order.sort_by(|&left, &right| {
            let pairs = ranks[left].iter().zip(&ranks[right]).zip(&keys);
            let mut orderings = pairs.map(|((left, right), (_, is_descending))| left.compare(right, *is_descending));
            orderings.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        Ok(order)
    }

    /// Of a table that has a line a property, the properties with these names.
    fn properties(&self, sheet: Sheet) -> Result<Sheet, Error> {
        let mut rows = Vec::new();
        for name in &self.columns {
            let before = rows.len();
            rows.extend(sheet.rows.iter().filter(|row| is_same(&row[0], name)).cloned());
            if rows.len() == before {
                return Err(no_such(name, sheet.rows.iter().map(|row| row[0].as_str())));
            }
        }
        Ok(Sheet { rows, ..sheet })
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

/// What a cell is sorted by. All numbers stand before all texts: pairs that were each compared in their own way would make circles
/// (`10 < 1a < 9 < 10`), which no sort survives.
#[derive(Clone, Debug, PartialEq)]
enum Rank {
    /// A number, by its value, then as it is written.
    Number(f64, String),
    /// A text without regard to case, then as it is written.
    Text(String, String),
    /// Nothing.
    Absent,
}

impl Rank {
    fn of(cell: &str) -> Self {
        if cell.is_empty() || cell == "N/A" {
            return Self::Absent;
        }
        // `nan` and `inf` are names.
        match cell.parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => Self::Number(number, cell.to_owned()),
            None => Self::Text(cell.to_lowercase(), cell.to_owned()),
        }
    }

    /// What is absent comes last either way.
    fn compare(&self, other: &Self, is_descending: bool) -> Ordering {
        let ordering = match (self, other) {
            (Self::Absent, _) | (_, Self::Absent) => {
                return (*self == Self::Absent).cmp(&(*other == Self::Absent));
            }
            (Self::Number(..), Self::Text(..)) => Ordering::Less,
            (Self::Text(..), Self::Number(..)) => Ordering::Greater,
            (Self::Number(left, left_text), Self::Number(right, right_text)) => {
                left.total_cmp(right).then_with(|| left_text.cmp(right_text))
            }
            (Self::Text(left, left_text), Self::Text(right, right_text)) => {
                left.cmp(right).then_with(|| left_text.cmp(right_text))
            }
        };
        if is_descending { ordering.reverse() } else { ordering }
    }
}

/// Names are the same whatever their case, and whether blanks, `-` or `_` join their words.
fn is_same(column: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    plain(column) == plain(name)
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.into_iter().flat_map(|list| list.split(',')).map(str::trim)
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

    use super::{Rank, Shape};
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
            let rows = [["id", "7", "x"], ["code dir", "/a", "y"]].map(|row| row.map(str::to_owned).to_vec()).to_vec();
            Table { rows, ..Table::of_properties(["setting", "value", "origin"]) }
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
        let chosen =
            |columns: &str| Shape::new(Some(columns), None, true).table(&Detail).map(|sheet| (sheet.rows, sheet.is_headless));
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen("code_dir").unwrap(), (vec![row(&["code dir", "/a", "y"])], true));
        assert_eq!(chosen("value,setting").unwrap().0, [row(&["7", "id"]), row(&["/a", "code dir"])]);
        assert!(chosen("nothing").is_err());
    }

    /// As many rows as there are cells.
    struct Cells(Vec<String>);

    impl Present for Cells {
        fn table(&self) -> Table {
            Table { rows: self.0.iter().map(|cell| vec![cell.clone()]).collect(), ..Table::new(["name"]) }
        }

        fn document(&self) -> Value {
            Value::from(self.0.clone())
        }
    }

    #[test]
    fn numbers_and_texts_side_by_side_are_sorted() {
        let cells: Vec<String> = ["12", "12a", "0x", "9", "nan", "1e400", "-inf", "", "N/A", "1.5"].map(str::to_owned).into();
        // As many as sort looks at closely.
        let many = Cells((0..400).map(|number| cells[number * 7 % cells.len()].clone()).collect());
        for (sort, first, last) in [("name", "1.5", "N/A"), ("-name", "nan", "N/A")] {
            let rows = Shape::new(None, Some(sort), false).table(&many).unwrap().rows;
            assert_eq!((rows[0][0].as_str(), rows.len()), (first, 400));
            assert!(rows.iter().any(|row| row[0] == last) && ["", "N/A"].contains(&rows[399][0].as_str()), "{rows:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_order_is_total(cells in proptest::collection::vec("[-+]?[0-9]{0,3}[.]?[0-9a-cA-C]{0,2}|nan|inf|N/A", 3)) {
            let ranks: Vec<Rank> = cells.iter().map(|cell| Rank::of(cell)).collect();
            let [first, second, third] = &ranks[..] else { unreachable!() };
            for is_descending in [false, true] {
                let is_before = |left: &Rank, right: &Rank| left.compare(right, is_descending).is_le();
                proptest::prop_assert_eq!(first.compare(second, is_descending), second.compare(first, is_descending).reverse());
                proptest::prop_assert!(!(is_before(first, second) && is_before(second, third)) || is_before(first, third));
            }
        }
    }
}
