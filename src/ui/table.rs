//! The grid of the original, and comma-separated rows.

use std::borrow::Cow;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, TableStyle, Width};
use unicode_width::UnicodeWidthStr as _;

use crate::ui::shape::Sheet;
use crate::ui::text;
use crate::ui::zone::Zone;

/// Draws the grid: `+---+` borders, a header row, long cells wrapped to fit `width` columns. Columns of ids are never cut.
pub(super) fn grid(table: &Sheet, width: u16) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(style()).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    if !table.is_headless {
        drawn.set_header(table.columns.iter().map(|column| Cell::new(text::printable(column))));
    }
    for row in &table.rows {
        drawn.add_row(row.iter().map(|cell| Cell::new(text::printable(cell))));
    }
    for (index, bound) in lower_bounds(table, usize::from(width)).into_iter().enumerate() {
        if let (Some(bound), Some(column)) = (bound, drawn.column_mut(index)) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(bound)));
        }
    }
    format!("{drawn}\n")
}

/// The least width of each column, padding included: an id is never cut; a word is not, as long as every column further right
/// keeps some room.
fn lower_bounds(table: &Sheet, width: usize) -> Vec<Option<u16>> {
    /// What a column needs to be readable at all.
    const LEAST: usize = 6;
    const PADDING_AND_BORDER: usize = 3;
    let cells = |index: usize| table.rows.iter().filter_map(move |row| row.get(index)).map(String::as_str);
    let identifiers = |index: usize| cells(index).map(|cell| cell.width()).max().unwrap_or(0);
    let mut room = width.saturating_sub(1 + PADDING_AND_BORDER * table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        room = room.saturating_sub(if is_identifier(column) { identifiers(index).max(column.width()) } else { LEAST });
    }
    let mut bounds = Vec::with_capacity(table.columns.len());
    for (index, column) in table.columns.iter().enumerate() {
        if is_identifier(column) {
            bounds.push(u16::try_from(identifiers(index) + 2).ok());
            continue;
        }
        let words = cells(index).chain([column.as_str()]).flat_map(str::split_whitespace);
        let longest = words.map(|word| word.width()).max().unwrap_or(0);
        let more = longest.saturating_sub(LEAST);
        bounds.push((more <= room).then(|| u16::try_from(longest + 2).unwrap_or(u16::MAX)));
        room = room.saturating_sub(if more <= room { more } else { 0 });
    }
    bounds
}

/// Whether people copy the cells of that column, so that they must stay in one piece.
fn is_identifier(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    column == "id" || column.ends_with(" id") || column.ends_with("_id")
}

/// The `grid` style of Python's tabulate, which the original used.
fn style() -> TableStyle {
    const RULE: LineStyle = LineStyle::new('+', '-', '+', '+');
    const CELLS: ContentLineStyle = ContentLineStyle::new('|', '|', '|');
    TableStyle::new()
        .top_border(RULE)
        .header_lines(CELLS)
        .header_separator(LineStyle::new('+', '=', '+', '+'))
        .content_lines(CELLS)
        .row_separator(RULE)
        .bottom_border(RULE)
}

/// Rows as RFC 4180 has them, with a header. Columns of times, which are local in the table, are written as RFC 3339 has them.
pub(super) fn csv(table: &Sheet, zone: Zone) -> String {
    let mut output = String::new();
    if !table.is_headless {
        csv_row(&mut output, table.columns.iter().map(Cow::from));
    }
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns).map(|(cell, column)| {
            let holds_time = is_time(column) || (column == "value" && is_time(&row[0]));
            let exact = holds_time.then(|| text::exact_time(cell, zone)).flatten();
            exact.map_or_else(|| Cow::from(cell), Cow::from)
        });
        csv_row(&mut output, cells);
    }
    output
}

/// Whether the cells of that column are times.
fn is_time(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    column.contains("time") || matches!(column.as_str(), "created" | "modified")
}

fn csv_row<'a>(output: &mut String, cells: impl Iterator<Item = Cow<'a, str>>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            output.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            output.push('"');
            output.push_str(&cell.replace('"', "\"\""));
            output.push('"');
        } else {
            output.push_str(&cell);
        }
    }
    output.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::{csv, grid};
    use crate::ui::present::Table;
    use crate::ui::shape::Sheet;
    use crate::ui::zone::Zone;

    fn table() -> Sheet {
        let mut table = Table::new(["index", "id", "name"]);
        table.rows.push(vec![
            "1".into(),
            "494b55e1-f2b8-4932-bbb1-c9768b000000".into(),
            "d\u{1b}[31mé\u{4f60}\u{597d}, \"x\"".into(),
        ]);
        table.into()
    }

    #[test]
    fn the_grid_is_the_original_one() {
        insta::assert_snapshot!(grid(&table(), 120), @r#"
        +-------+--------------------------------------+-----------------+
        | index | id                                   | name            |
        +=======+======================================+=================+
        | 1     | 494b55e1-f2b8-4932-bbb1-c9768b000000 | d[31mé你好, "x" |
        +-------+--------------------------------------+-----------------+
        "#);
    }

    #[test]
    fn ids_stay_in_one_piece_when_space_is_short() {
        assert!(grid(&table(), 40).contains(" 494b55e1-f2b8-4932-bbb1-c9768b000000 "));
    }

    #[test]
    fn an_empty_list_is_a_header() {
        assert_eq!(grid(&Table::new(["id"]).into(), 120), "+----+\n| id |\n+====+\n+----+\n");
    }

    #[test]
    fn wide_signs_and_emoji_align() {
        let mut wide = Table::new(["名", "b"]);
        wide.rows.push(vec!["资料集 🚀".into(), "1".into()]);
        wide.rows.push(vec!["👩\u{200d}🔬 é".into(), "2".into()]);
        let drawn = grid(&wide.into(), 120);
        let widths: Vec<usize> = drawn.lines().map(unicode_width::UnicodeWidthStr::width).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}\n{drawn}");
    }

    #[test]
    fn times_are_exact_in_csv_only_where_a_column_has_times() {
        let mut times = Table::new(["create_time", "name"]);
        times.rows.push(vec!["2026-03-29 11:41:27".into(), "2026-03-29 11:41:27".into()]);
        let text = csv(&times.into(), Zone::read(Some("CST-8")));
        assert!(text.ends_with("2026-03-29T11:41:27+08:00,2026-03-29 11:41:27\r\n"), "{text}");
    }

    #[test]
    fn csv_quotes_what_must_be_quoted() {
        assert_eq!(
            csv(&table(), Zone::default()),
            "index,id,name\r\n1,494b55e1-f2b8-4932-bbb1-c9768b000000,\"d\u{1b}[31mé\u{4f60}\u{597d}, \"\"x\"\"\"\r\n"
        );
    }
}
