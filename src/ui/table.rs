//! The grid of the original, and comma-separated rows.

use std::borrow::Cow;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, TableStyle, Width};
use unicode_width::UnicodeWidthStr as _;

use crate::ui::room::{self, Need};
use crate::ui::shape::Sheet;
use crate::ui::text;
use crate::ui::zone::Zone;

/// Draws the grid: `+---+` borders, a header row. Without a width a row is one line. With one, long cells are wrapped; where that would
/// take words apart, one thing is shown with a line a property, and a list without its last columns.
pub(super) fn grid(table: &Sheet, width: Option<u16>) -> String {
    let Some(width) = width.map(usize::from) else { return draw(table, None) };
    let needs: Vec<Need> = (0..table.columns.len()).map(|index| Need::of(table, index)).collect();
    if room::natural(&needs) <= width {
        return draw(table, None);
    }
    if let Some(widths) = room::share(&needs, width) {
        return draw(table, Some(&widths));
    }
    if table.has_properties {
        return draw(table, Some(&room::squeezed(&needs, width)));
    }
    if table.rows.len() == 1 || (table.is_chosen && !table.rows.is_empty()) {
        return table.rows.iter().map(|row| grid(&record(table, row), u16::try_from(width).ok())).collect();
    }
    let kept = (1..needs.len()).rev().find(|&count| room::share(&needs[..count], width).is_some()).unwrap_or(1);
    let drawn = draw(&first_columns(table, kept), room::share(&needs[..kept], width).as_deref());
    match table.columns[kept..].join(", ") {
        left if left.is_empty() || table.rows.is_empty() => drawn,
        left => drawn + &filled(&format!("left out: {left}; see them with --columns or -F csv"), width),
    }
}

/// One row with a line a cell.
fn record(table: &Sheet, row: &[String]) -> Sheet {
    let rows = table.columns.iter().zip(row).map(|(column, cell)| vec![column.clone(), cell.clone()]).collect();
    let columns = vec!["field".to_owned(), "value".to_owned()];
    Sheet { columns, rows, is_headless: table.is_headless, has_properties: true, is_chosen: table.is_chosen }
}

/// The words in lines of that width.
fn filled(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.width() > width {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += word.width();
    }
    lines + "\n"
}

/// The table with so many of its columns.
fn first_columns(table: &Sheet, count: usize) -> Sheet {
    let rows = table.rows.iter().map(|row| row.iter().take(count).cloned().collect()).collect();
    Sheet {
        columns: table.columns[..count].to_vec(),
        rows,
        is_headless: table.is_headless,
        has_properties: false,
        is_chosen: table.is_chosen,
    }
}

/// Draws the grid with columns of these widths, else as wide as they are.
fn draw(table: &Sheet, widths: Option<&[usize]>) -> String {
    if table.is_headless && table.rows.is_empty() {
        return String::new();
    }
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(style()).set_content_arrangement(ContentArrangement::Disabled);
    if !table.is_headless {
        drawn.set_header(table.columns.iter().map(|column| Cell::new(text::printable(column))));
    }
    for row in &table.rows {
        drawn.add_row(row.iter().map(|cell| Cell::new(text::printable(cell))));
    }
    for (index, width) in widths.unwrap_or_default().iter().enumerate() {
        if let Some(column) = drawn.column_mut(index) {
            let padded = u16::try_from(width + 2).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(padded)));
        }
    }
    if widths.is_some() {
        drawn.set_content_arrangement(ContentArrangement::Dynamic).set_width(u16::MAX);
    }
    format!("{drawn}\n")
}

/// The drawn table in so many lines: its first rows, and how many more there are.
pub(super) fn cut(drawn: &str, lines: usize) -> String {
    let all: Vec<&str> = drawn.lines().collect();
    if all.len() <= lines {
        return drawn.to_owned();
    }
    let notes = all.iter().rev().take_while(|line| !line.starts_with(['+', '|'])).count();
    let (rows, notes) = all.split_at(all.len() - notes);
    let is_rule = |line: &&str| line.starts_with('+');
    let end = rows.iter().take(lines.saturating_sub(1 + notes.len())).rposition(is_rule).map_or(0, |index| index + 1);
    let more = format!("… {} more", rows[end..].iter().filter(|line| is_rule(line)).count());
    let shown = rows[..end].iter().copied().chain([more.as_str()]).chain(notes.iter().copied());
    shown.map(|line| format!("{line}\n")).collect()
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
    use super::{csv, cut, grid};
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
        insta::assert_snapshot!(grid(&table(), None), @r#"
        +-------+--------------------------------------+-----------------+
        | index | id                                   | name            |
        +=======+======================================+=================+
        | 1     | 494b55e1-f2b8-4932-bbb1-c9768b000000 | d[31mé你好, "x" |
        +-------+--------------------------------------+-----------------+
        "#);
    }

    #[test]
    fn ids_stay_in_one_piece_when_space_is_short() {
        assert!(grid(&table(), Some(40)).contains(" 494b55e1-f2b8-4932-bbb1-c9768b000000 "));
    }

    fn jobs() -> Sheet {
        let mut table = Table::new(["index", "id", "name", "status", "user_name", "duration", "create_time", "description"]);
        for (index, description) in
            ["", "the one that worked, with a learning rate of 0.01 and all of the data"].iter().enumerate()
        {
            let id = format!("494b55e1-f2b8-4932-bbb1-c9768b00000{index}");
            let number = index.to_string();
            let cells = [number.as_str(), &id, "job-one", "Terminating", "platform-user", "00:00:12", "2026-11-22 21:36:41"];
            table.rows.push(cells.iter().chain([description]).map(|cell| (*cell).to_owned()).collect());
        }
        table.into()
    }

    #[test]
    fn a_row_is_one_line_in_a_pipe() {
        let drawn = grid(&jobs(), None);
        assert_eq!(drawn.lines().filter(|line| line.starts_with('|')).count(), 3, "{drawn}");
    }

    #[test]
    fn a_list_loses_its_last_columns_before_words_are_taken_apart() {
        insta::assert_snapshot!(grid(&jobs(), Some(80)));
    }

    #[test]
    fn free_text_gives_way_to_the_other_columns() {
        insta::assert_snapshot!(grid(&jobs(), Some(150)));
    }

    #[test]
    fn one_thing_that_is_too_wide_has_a_line_a_property() {
        let mut one = jobs();
        one.rows.remove(0);
        insta::assert_snapshot!(grid(&one, Some(80)));
    }

    #[test]
    fn columns_that_were_asked_for_are_all_there() {
        let mut chosen = jobs();
        chosen.is_chosen = true;
        let drawn = grid(&chosen, Some(80));
        assert_eq!(drawn.matches("| create_time | 2026-11-22 21:36:41").count(), 2, "{drawn}");
    }

    #[test]
    fn no_line_of_properties_is_wider_than_the_terminal() {
        let mut table = Table::of_properties(["field", "value"]);
        table.rows.push(vec!["a_field_with_a_long_name".into(), format!("obs://bucket/{}", "folder/".repeat(30))]);
        let drawn = grid(&table.into(), Some(40));
        assert!(drawn.lines().all(|line| line.len() <= 40), "{drawn}");
    }

    #[test]
    fn what_is_drawn_anew_fits_the_screen() {
        let drawn = grid(&jobs(), None);
        assert_eq!(drawn.lines().count(), 7);
        assert_eq!(cut(&drawn, 7), drawn);
        assert_eq!(cut(&drawn, 6), format!("{}\n… 1 more\n", drawn.lines().take(5).collect::<Vec<_>>().join("\n")));
        assert_eq!(cut(&drawn, 4), format!("{}\n… 2 more\n", drawn.lines().take(3).collect::<Vec<_>>().join("\n")));
        let narrow = grid(&jobs(), Some(80));
        let notes = "left out: user_name, duration, create_time, description; see them with --columns\nor -F csv\n";
        assert!(narrow.ends_with(notes), "{narrow}");
        let cut = cut(&narrow, 8);
        assert!(cut.lines().count() == 8 && cut.ends_with(&format!("… 1 more\n{notes}")), "{cut}");
    }

    #[test]
    fn an_empty_list_is_a_header() {
        assert_eq!(grid(&Table::new(["id"]).into(), Some(120)), "+----+\n| id |\n+====+\n+----+\n");
        let headless = Sheet { is_headless: true, ..Table::new(["id"]).into() };
        assert_eq!(grid(&headless, Some(120)), "");
    }

    #[test]
    fn wide_signs_and_emoji_align() {
        let mut wide = Table::new(["名", "b"]);
        wide.rows.push(vec!["资料集 🚀".into(), "1".into()]);
        wide.rows.push(vec!["👩\u{200d}🔬 é".into(), "2".into()]);
        let drawn = grid(&wide.into(), Some(120));
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
