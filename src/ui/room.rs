//! How the columns of a table share the width of a terminal.

use unicode_width::UnicodeWidthStr as _;

use crate::ui::shape::Sheet;
use crate::ui::text::printable;

/// Blanks and border of a column.
const FRAME: usize = 3;
/// What a word may keep for itself: the states, times, names and flavors of the services are shorter.
const WORD: usize = 20;
/// The same where people write what they like.
const FREE_WORD: usize = 10;
/// What a column needs to be readable at all.
const LEAST: usize = 6;

/// How wide a column may be, in columns of the terminal without its frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// The least.
    least: usize,
    /// With each cell on one line.
    natural: usize,
    /// The longest id, which is never cut: people copy it.
    whole: usize,
}

impl Need {
    /// What the column with that number needs: an id is never cut, other cells are cut between words, and within very long ones.
    pub(super) fn of(table: &Sheet, index: usize) -> Self {
        let header = Some(table.columns[index].as_str()).filter(|_| !table.is_headless);
        let cells = || table.rows.iter().filter_map(|row| row.get(index)).map(String::as_str);
        let texts: Vec<String> = cells().chain(header).map(printable).collect();
        let natural = texts.iter().map(|text| text.width()).max().unwrap_or(0);
        let column = table.columns[index].to_ascii_lowercase();
        let whole = if is_identifier(&column) {
            natural
        } else {
            let ids = table.rows.iter().filter(|row| table.has_properties && is_identifier(&row[0].to_ascii_lowercase()));
            ids.filter_map(|row| row.get(index)).map(|cell| cell.width()).max().unwrap_or(0)
        };
        let longest = texts.iter().flat_map(|text| text.split_whitespace()).map(|word| word.width()).max().unwrap_or(0);
        Self { least: longest.min(if is_free_text(&column) { FREE_WORD } else { WORD }).max(whole), natural, whole }
    }
}

/// Whether people copy the cells of that column, so that they must stay in one piece.
fn is_identifier(column: &str) -> bool {
    column == "id" || column.ends_with(" id") || column.ends_with("_id")
}

/// Whether the cells of that column are sentences.
fn is_free_text(column: &str) -> bool {
    ["description", "finding", "remedy", "message", "reason", "error", "value"].iter().any(|word| column.ends_with(word))
}

/// The width of the table with each cell on one line.
pub(super) fn natural(needs: &[Need]) -> usize {
    1 + needs.iter().map(|need| need.natural + FRAME).sum::<usize>()
}

/// The widths for any terminal: only ids may be too wide for it.
pub(super) fn squeezed(needs: &[Need], width: usize) -> Vec<usize> {
    let needs: Vec<Need> = needs.iter().map(|need| Need { least: need.least.min(LEAST).max(need.whole), ..*need }).collect();
    share(&needs, width).unwrap_or_else(|| needs.iter().map(|need| need.least).collect())
}

/// The width of each column: those that want little more than the least get it, the others share the rest. `None` where there is less
/// than the least.
pub(super) fn share(needs: &[Need], width: usize) -> Option<Vec<usize>> {
    let mut widths: Vec<usize> = needs.iter().map(|need| need.least).collect();
    let taken = 1 + widths.iter().map(|width| width + FRAME).sum::<usize>();
    let mut spare = width.checked_sub(taken)?;
    let wanted = |index: usize| needs[index].natural - needs[index].least;
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|&index| wanted(index));
    for (position, &index) in order.iter().enumerate() {
        let more = wanted(index).min(spare / (needs.len() - position));
        widths[index] += more;
        spare -= more;
    }
    Some(widths)
}
