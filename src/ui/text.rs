//! Text from elsewhere, made harmless for a terminal; amounts and durations as people read them.

use std::time::Duration;

use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::ui::zone::Zone;

/// The text without control characters; tabs and line ends stay. Terminal escape sequences lose their first character and so
/// become visible text.
pub fn printable_lines(text: &str) -> String {
    text.chars().filter(|&character| !is_hostile(character) || matches!(character, '\n' | '\t')).collect()
}

/// The text without control characters, line ends and tabs replaced by blanks: for one cell or one line.
pub fn printable(text: &str) -> String {
    text.chars()
        .filter_map(|character| match character {
            '\n' | '\r' | '\t' => Some(' '),
            other => (!is_hostile(other)).then_some(other),
        })
        .collect()
}

/// Control characters, and the invisible marks that reorder text.
fn is_hostile(character: char) -> bool {
    character.is_control() || matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// One line of JSON in which such characters are written as `\uXXXX`, for a stream that may be a terminal: JSON itself allows all
/// but the first 32 as they are.
pub(super) fn json_line(document: &serde_json::Value) -> String {
    let mut line = String::new();
    // They stand only inside of strings, and all of them have four digits.
    for character in document.to_string().chars() {
        if is_hostile(character) {
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    line
}

/// An amount of bytes in binary units with three significant digits: `1.50 GiB`.
pub fn bytes(amount: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if amount < 1024 {
        return format!("{amount} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = amount as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A duration with the precision that matters: `0.42 s`, `12.3 s`, `3 min 5 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs();
        let (hours, minutes) = (whole / 3600, whole / 60 % 60);
        if hours > 0 { format!("{hours} h {minutes} min") } else { format!("{minutes} min {} s", whole % 60) }
    }
}

/// A moment as tables show it, in local time: `2026-03-29 11:41:27`.
pub fn local_time(moment: OffsetDateTime, zone: Zone) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    moment.to_offset(zone.offset_at(moment)).format(format).unwrap_or_default()
}

/// What [`local_time`] wrote, as RFC 3339 has it: `2026-03-29T11:41:27+08:00`. `None` for any other text.
pub(super) fn exact_time(cell: &str, zone: Zone) -> Option<String> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let local = PrimitiveDateTime::parse(cell, format).ok()?;
    local.assume_offset(zone.offset_of(local)).format(&time::format_description::well_known::Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::{Zone, bytes, duration, exact_time, json_line, local_time, printable, printable_lines};

    #[test]
    fn local_times_are_exact_in_data() {
        let zone = Zone::read(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        for (moment, expected, exact) in [
            (datetime!(2026-03-28 23:41:27 UTC), "2026-03-29 00:41:27", "2026-03-29T00:41:27+01:00"),
            (datetime!(2026-03-29 03:41:27 UTC), "2026-03-29 05:41:27", "2026-03-29T05:41:27+02:00"),
        ] {
            let cell = local_time(moment, zone);
            assert_eq!((cell.as_str(), exact_time(&cell, zone).as_deref()), (expected, Some(exact)));
        }
        assert_eq!(exact_time("N/A", zone), None);
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable_lines("a\x1b[31mred\x07\r\n\tb"), "a[31mred\n\tb");
        assert_eq!(printable("a\nb\u{9b}1m\u{202e}c"), "a b1mc");
    }

    #[test]
    fn json_on_a_terminal_is_the_same_document_in_harmless_characters() {
        let document = serde_json::json!({"a\u{9b}": "b\u{202e}\u{7f}\n\u{1b}[2J\u{85}\u{200f} é\u{1f680} \\u009b"});
        let line = json_line(&document);
        assert!(line.ends_with("}\n") && !line.trim_end_matches('\n').chars().any(super::is_hostile), "{line}");
        assert!(line.contains("é\u{1f680}"), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), document);
    }

    #[test]
    fn amounts_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1 << 30, "1.00 GiB"),
            (1_023_999, "1000 KiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (amount, expected) in cases {
            assert_eq!(bytes(amount), expected);
        }
    }

    #[test]
    fn durations_are_short() {
        let cases = [(420, "0.42 s"), (12_300, "12.3 s"), (185_000, "3 min 5 s"), (7_260_000, "2 h 1 min")];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }
}
