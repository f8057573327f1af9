//! Times and durations as users write them, and times in the lines of logs.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// Where a line's own time stands: not far from its beginning.
const HEAD: usize = 80;

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?\s?(Z|[+-]\d\d:?\d\d)?").expect("it is tested")
});

/// A duration such as `90`, `90s`, `15m`, `2h`, `1h30m` or `2d`; a bare number is seconds.
///
/// # Errors
/// What is wrong with it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is expected, such as 90s, 15m, 2h, 1h30m or 2d".to_owned();
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let amount: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = rest[digits..].chars().next();
        let factor = match unit {
            None if digits == text.trim().len() => 1,
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        seconds = amount.checked_mul(factor).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = &rest[digits + unit.map_or(0, char::len_utf8)..];
    }
    Ok(Duration::from_secs(seconds))
}

/// A time: how long ago, or a date and time; without an offset it is UTC.
///
/// # Errors
/// What is wrong with it.
pub(super) fn since(text: &str) -> Result<OffsetDateTime, String> {
    if let Ok(ago) = duration(text) {
        return OffsetDateTime::now_utc().checked_sub(ago.try_into().unwrap_or(time::Duration::MAX)).ok_or_else(|| wrong(text));
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(time);
    }
    let text = text.trim();
    let whole = if text.len() == "2024-05-01".len() { format!("{text} 00:00:00") } else { text.to_owned() };
    in_line(&whole).ok_or_else(|| wrong(text))
}

fn wrong(text: &str) -> String {
    format!("[{text}] is neither a duration, such as 15m, nor a time, such as 2024-05-01T10:00:00Z")
}

/// The time that a line bears near its beginning; without an offset it is UTC, as in the containers of the service.
pub(super) fn in_line(line: &str) -> Option<OffsetDateTime> {
    let end = (0..=HEAD.min(line.len())).rev().find(|&end| line.is_char_boundary(end))?;
    let found = TIME.captures(&line[..end])?;
    let number = |group: usize| found.get(group).and_then(|digits| digits.as_str().parse::<u16>().ok());
    let small = |group: usize| number(group).and_then(|value| u8::try_from(value).ok());
    let date = Date::from_calendar_date(i32::from(number(1)?), Month::try_from(small(2)?).ok()?, small(3)?).ok()?;
    let time = Time::from_hms(small(4)?, small(5)?, small(6)?).ok()?;
    let offset = found.get(7).map_or(Some(UtcOffset::UTC), |text| offset(text.as_str()))?;
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

fn offset(text: &str) -> Option<UtcOffset> {
    if text == "Z" {
        return Some(UtcOffset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = (digits.get(..2)?.parse::<i8>().ok()?, digits.get(2..)?.parse::<i8>().ok()?);
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::{duration, in_line, since};

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1h30", "2w", "-1s", "1.5h", "99999999999999999999s", "1 h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_as_users_and_programs_write_them() {
        assert_eq!(since("2024-05-01T10:00:00+08:00").unwrap(), datetime!(2024-05-01 02:00 UTC));
        assert_eq!(since("2024-05-01").unwrap(), datetime!(2024-05-01 00:00 UTC));
        assert_eq!(since("2024-05-01 10:11:12").unwrap(), datetime!(2024-05-01 10:11:12 UTC));
        assert!(since("15m").is_ok() && since("yesterday").is_err() && since("2024-13-01").is_err());
        let line = r#"time="2023-03-29T11:41:27+08:00" level=info msg="x""#;
        assert_eq!(in_line(line), Some(datetime!(2023-03-29 03:41:27 UTC)));
        assert_eq!(in_line("[2024/01/02 03:04:05,678] x"), Some(datetime!(2024-01-02 03:04:05 UTC)));
        assert_eq!(in_line("epoch 2024-05 loss"), None);
        assert_eq!(in_line(&"ä".repeat(90)), None);
    }
}
