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

/// The text in one line, control characters written as escapes (`\n`, `\u{1b}`): a name in a message cannot end the message.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if !is_hostile(character) => line.push(character),
            _ if character.is_control() => line.extend(character.escape_debug()),
            _ => line.extend(character.escape_unicode()),
        }
    }
    line
}

/// The number with the noun, which is a plural where the number is not 1.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Control characters, and the invisible marks that reorder text.
fn is_hostile(character: char) -> bool {
    character.is_control() || matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// JSON in which the control characters and marks that JSON itself lets stand are written as escapes: the same document, harmless for
/// a terminal.
pub(super) fn printable_json(text: String) -> String {
    let stands = |character: char| character > '\u{1f}' && is_hostile(character);
    if !text.chars().any(stands) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if stands(character) {
            // None of them is beyond the characters that one escape can name.
            safe.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            safe.push(character);
        }
    }
    safe
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

    use super::{Zone, bytes, count, duration, escaped, exact_time, local_time, printable, printable_json, printable_lines};

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
    fn d3_1_escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable_lines("a\x1b[31mred\x07\r\n\tb"), "a[31mred\n\tb");
        assert_eq!(printable("a\nb\u{9b}1m\u{202e}c"), "a b1mc");
        assert_eq!(escaped("[a\n[OK] b\u{1b}[31m\u{202e}\t'\\é]"), "[a\\n[OK] b\\u{1b}[31m\\u{202e}\\t'\\é]");
        let document = serde_json::json!({"a\u{9b}": "b\u{202e}\u{7f}\u{1b}é\n"});
        let json = printable_json(format!("{document}\n"));
        assert_eq!(json, "{\"a\\u009b\":\"b\\u202e\\u007f\\u001bé\\n\"}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), document);
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
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|number| count(number, "file")), ["0 files", "1 file", "2 files"]);
    }

    #[test]
    fn durations_are_short() {
        let cases = [(420, "0.42 s"), (12_300, "12.3 s"), (185_000, "3 min 5 s"), (7_260_000, "2 h 1 min")];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }
}
