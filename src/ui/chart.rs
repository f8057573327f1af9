//! Charts of quantities over time, drawn with characters: braille dots where the terminal can show them, else plain ASCII.

use std::fmt::Write as _;

/// With which characters a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Braille patterns: two dots across and four down in each character.
    Braille,
    /// `*`, one a character.
    Ascii,
}

/// Columns left of the plot: the scale and the axis.
const MARGIN: usize = 9;

/// One quantity over time. Values that are not there leave gaps.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// Written above the plot.
    pub title: &'a str,
    /// The values, at equal distances in time.
    pub values: &'a [Option<f64>],
    /// What stands for the top; the values may need more.
    pub top: f64,
    /// Written below the plot, at the left and the right end.
    pub ends: (&'a str, &'a str),
}

impl Chart<'_> {
    /// Draws the chart: title, `height` lines of plot, time axis. No line is longer than `width`.
    pub fn draw(&self, width: usize, height: usize, ink: Ink) -> String {
        let columns = width.saturating_sub(MARGIN).clamp(8, 240);
        let height = height.max(2);
        let (across, down) = if ink == Ink::Braille { (2, 4) } else { (1, 1) };
        let top = self.values.iter().flatten().copied().fold(self.top, f64::max).max(f64::MIN_POSITIVE);
        let columns = columns.min(self.values.len().div_ceil(across).max(8));
        let mut dots = vec![vec![0_u8; columns]; height];
        let rows = height * down;
        for (x, (low, high)) in
            spread(self.values, columns * across).into_iter().enumerate().filter_map(|(x, seen)| Some((x, seen?)))
        {
            for y in level(low, top, rows)..=level(high, top, rows) {
                let from_top = rows - 1 - y;
                dots[from_top / down][x / across] |= bit(x % across, from_top % down, ink);
            }
        }
        let mut text = format!("{}\n", self.title);
        let axis = if ink == Ink::Braille { '┤' } else { '|' };
        for (row, cells) in dots.iter().enumerate() {
            let scale = match row {
                0 => number(top),
                _ if row + 1 == height => number(0.0),
                _ => String::new(),
            };
            let plot: String = cells.iter().map(|&dots| character(dots, ink)).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{scale:>7} {axis}{}", plot.trim_end());
        }
        let (left, right) = self.ends;
        let gap = columns.saturating_sub(left.chars().count()).max(right.chars().count() + 1);
        let _ = writeln!(text, "{:MARGIN$}{left}{right:>gap$}", "");
        text
    }
}

/// The least and the greatest of the values that fall on each of so many points.
fn spread(values: &[Option<f64>], points: usize) -> Vec<Option<(f64, f64)>> {
    let points = points.min(values.len());
    let mut seen: Vec<Option<(f64, f64)>> = vec![None; points];
    for (index, value) in values.iter().enumerate() {
        let Some(value) = *value else { continue };
        let point = &mut seen[index * points / values.len()];
        let (low, high) = point.unwrap_or((value, value));
        *point = Some((low.min(value), high.max(value)));
    }
    seen
}

/// The row of a value, 0 for the lowest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "it is within the rows"
)]
fn level(value: f64, top: f64, rows: usize) -> usize {
    ((value.max(0.0) / top * (rows - 1) as f64).round() as usize).min(rows - 1)
}

/// The bit of a dot in a braille pattern (Unicode, block 2800), or of anything in ASCII.
fn bit(x: usize, y: usize, ink: Ink) -> u8 {
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    if ink == Ink::Ascii { 1 } else { BITS[x][y] }
}

fn character(dots: u8, ink: Ink) -> char {
    match (dots, ink) {
        (0, _) => ' ',
        (_, Ink::Ascii) => '*',
        (dots, Ink::Braille) => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
    }
}

/// A number of the scale, in at most seven characters.
fn number(value: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut value, mut unit) = (value, 0);
    while value >= 10_000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(value.fract() >= 0.05 && value < 100.0);
    format!("{value:.decimals$}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::{Chart, Ink, number};

    fn draw(values: &[Option<f64>], width: usize, ink: Ink) -> String {
        Chart { title: "cpu", values, top: 100.0, ends: ("0 min", "9 min") }.draw(width, 3, ink)
    }

    #[test]
    fn values_stand_where_they_belong() {
        let values: Vec<Option<f64>> = [0.0, 50.0, 100.0].into_iter().map(Some).chain([None, Some(100.0)]).collect();
        let expected = "cpu\n    100 |  * *\n        | *\n      0 |*\n         0 min 9 min\n";
        assert_eq!(draw(&values, 40, Ink::Ascii), expected);
        let braille = draw(&values, 40, Ink::Braille);
        assert!(
            braille.contains("100 ┤") && braille.chars().any(|character| ('\u{2801}'..='\u{28ff}').contains(&character)),
            "{braille}"
        );
    }

    #[test]
    fn many_values_share_points_and_extremes_are_kept() {
        let mut values = vec![Some(10.0); 10_000];
        values[5000] = Some(400.0);
        for ink in [Ink::Ascii, Ink::Braille] {
            let text = draw(&values, 60, ink);
            assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
            assert!(text.lines().nth(1).unwrap().trim_start().starts_with("400 "), "{text}");
        }
        assert_eq!(draw(&[], 60, Ink::Ascii).lines().count(), 5);
        assert_eq!([number(0.0), number(99.96), number(2.5), number(123_456.0)], ["0", "100.0", "2.5", "123k"]);
    }
}
