//! Local time: how far it is from UTC at each moment, summer and winter (RFC 8536, and POSIX for `TZ`). Read here, because the C
//! library's own answer is only for the present, and only while a process has a single thread.

use std::path::Path;

use time::{Date, Month, OffsetDateTime, UtcOffset};

/// Where systems keep the descriptions of zones.
const FOLDER: &str = "/usr/share/zoneinfo";
/// The zone of this machine.
const MACHINE: &str = "/etc/localtime";
/// Longest description that is believed to be one; real ones have up to 4 KiB.
const LONGEST: usize = 1 << 20;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A time zone. UTC by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Zone(Option<&'static Table>);

/// What a description says, in seconds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table {
    /// The offset before the first change.
    before: i64,
    /// Moments and the offsets from then on.
    changes: Vec<(i64, i64)>,
    /// What holds after the last change.
    rule: Option<Rule>,
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    standard: i64,
    /// The offset in summer, when it begins and when it ends.
    summer: Option<(i64, Turn, Turn)>,
}

/// A day of every year, and seconds after its beginning in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn(Day, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// Month, week (5 for the last), day of the week from Sunday.
    OfWeek(u8, i64, i64),
    /// From 1; the 29th of February is never counted.
    WithoutLeap(i64),
    /// From 0.
    OfYear(i64),
}

impl Zone {
    /// The zone that a `TZ` variable names, or that of this machine where there is none; UTC where neither is known. What is read is
    /// kept until the process ends.
    pub fn read(variable: Option<&str>) -> Self {
        let file = |path: &Path| Table::parse(&std::fs::read(path).ok().filter(|bytes| bytes.len() <= LONGEST)?);
        let table = match variable.map(|name| name.strip_prefix(':').unwrap_or(name)) {
            None => file(Path::new(MACHINE)),
            Some("") => None,
            // A name without `..` stays in the folder; a whole path replaces it.
            Some(name) if !name.contains("..") => file(&Path::new(FOLDER).join(name)).or_else(|| Table::of_rule(name)),
            Some(_) => None,
        };
        Self(table.map(|table| &*Box::leak(Box::new(table))))
    }

    /// How far local time is from UTC at that moment.
    pub fn offset_at(self, moment: OffsetDateTime) -> UtcOffset {
        offset(self.seconds_at(moment.unix_timestamp()))
    }

    /// The offset where clocks show that time; of the two in the hour that comes twice, one.
    pub(super) fn offset_of(self, local: time::PrimitiveDateTime) -> UtcOffset {
        let local = local.assume_utc().unix_timestamp();
        let first = self.seconds_at(local - self.seconds_at(local));
        offset(self.seconds_at(local - first))
    }

    fn seconds_at(self, moment: i64) -> i64 {
        let Some(table) = self.0 else { return 0 };
        let after = table.changes.partition_point(|(from, _)| *from <= moment);
        match (&table.rule, after) {
            (Some(rule), _) if after == table.changes.len() => rule.seconds_at(moment),
            (_, 0) => table.before,
            _ => table.changes[after - 1].1,
        }
    }
}

fn offset(seconds: i64) -> UtcOffset {
    i32::try_from(seconds).ok().and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok()).unwrap_or(UtcOffset::UTC)
}

impl Table {
    /// A zone that has only a rule.
    fn of_rule(text: &str) -> Option<Self> {
        Some(Self { rule: Some(Rule::parse(text)?), ..Self::default() })
    }

    /// Reads a description of version 2 or later; those of version 1 end in 2037 and are no longer made.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, old) = split_head(bytes)?;
        if bytes[4] < b'2' {
            return None;
        }
        let [standards, universals, leaps, times, types, letters] = head;
        let old_length = times * 5 + types * 6 + letters + leaps * 8 + standards + universals;
        let ([standards, universals, leaps, times, types, letters], body) = split_head(old.get(old_length..)?)?;
        let (moments, body) = body.split_at_checked(times * 8)?;
        let (indexes, body) = body.split_at_checked(times)?;
        let (kinds, body) = body.split_at_checked(types * 6)?;
        let footer = body.get(letters + leaps * 12 + standards + universals..)?;
        let seconds = |kind: usize| {
            let bytes = kinds.get(kind * 6..kind * 6 + 4)?;
            Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)))
        };
        let moments = moments.chunks_exact(8).map(|bytes| bytes.try_into().map(i64::from_be_bytes));
        let mut changes = Vec::with_capacity(times);
        for (moment, index) in moments.zip(indexes) {
            changes.push((moment.ok()?, seconds(usize::from(*index))?));
        }
        let footer = str::from_utf8(footer).ok()?.trim_matches('\n');
        let rule = if footer.is_empty() { None } else { Some(Rule::parse(footer)?) };
        Some(Self { before: seconds(0)?, changes, rule })
    }
}

/// The six counts of a head, and what follows it.
fn split_head(bytes: &[u8]) -> Option<([usize; 6], &[u8])> {
    let (head, rest) = bytes.split_at_checked(44)?;
    if !head.starts_with(b"TZif") {
        return None;
    }
    let mut counts = [0; 6];
    for (count, bytes) in counts.iter_mut().zip(head[20..].chunks_exact(4)) {
        *count = usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok().filter(|count| *count <= LONGEST)?;
    }
    Some((counts, rest))
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let (standard, rest) = clock(name(text)?)?;
        let standard = -standard;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let rest = name(rest)?;
        let (summer, rest) = match clock(rest) {
            Some((summer, rest)) => (-summer, rest),
            None => (standard + HOUR, rest),
        };
        let rest = if rest.is_empty() { ",M3.2.0,M11.1.0" } else { rest };
        let (begin, end) = rest.strip_prefix(',')?.split_once(',')?;
        Some(Self { standard, summer: Some((summer, Turn::parse(begin)?, Turn::parse(end)?)) })
    }

    fn seconds_at(&self, moment: i64) -> i64 {
        let Some((summer, begin, end)) = self.summer else { return self.standard };
        let local = OffsetDateTime::from_unix_timestamp(moment.saturating_add(self.standard));
        let Ok(year) = local.map(OffsetDateTime::year) else { return self.standard };
        let (Some(begin), Some(end)) = (begin.moment(year, self.standard), end.moment(year, summer)) else {
            return self.standard;
        };
        // South of the equator summer goes over the end of the year.
        let is_summer = if begin < end { (begin..end).contains(&moment) } else { !(end..begin).contains(&moment) };
        if is_summer { summer } else { self.standard }
    }
}

impl Turn {
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').map_or((text, None), |(day, time)| (day, Some(time)));
        let time = match time {
            Some(time) => clock(time).filter(|(_, rest)| rest.is_empty())?.0,
            None => 2 * HOUR,
        };
        let day = if let Some(parts) = day.strip_prefix('M') {
            let mut parts = parts.split('.');
            let mut next =
                |range: std::ops::RangeInclusive<i64>| parts.next()?.parse().ok().filter(|number: &i64| range.contains(number));
            Day::OfWeek(u8::try_from(next(1..=12)?).ok()?, next(1..=5)?, next(0..=6)?)
        } else if let Some(number) = day.strip_prefix('J') {
            Day::WithoutLeap(number.parse().ok().filter(|number| (1..=365).contains(number))?)
        } else {
            Day::OfYear(day.parse().ok().filter(|number| (0..=365).contains(number))?)
        };
        Some(Self(day, time))
    }

    /// The moment in that year, where local time has that offset until then.
    fn moment(self, year: i32, offset: i64) -> Option<i64> {
        let start = |month: Month| Date::from_calendar_date(year, month, 1).ok();
        let days = match self.0 {
            Day::OfYear(number) => number,
            Day::WithoutLeap(number) => number - 1 + i64::from(time::util::is_leap_year(year) && number >= 60),
            Day::OfWeek(month, week, weekday) => {
                let month = Month::try_from(month).ok()?;
                let first = start(month)?;
                let to_weekday = (weekday - i64::from(first.weekday().number_days_from_sunday())).rem_euclid(7);
                let length = i64::from(month.length(year));
                let in_month = (0..week).map(|week| to_weekday + 7 * week).rfind(|day| *day < length)?;
                i64::from(first.ordinal()) - 1 + in_month
            }
        };
        let year_start = start(Month::January)?.midnight().assume_utc().unix_timestamp();
        Some(year_start + days * DAY + self.1 - offset)
    }
}

/// What follows the name of a zone: letters, or anything in `<>`.
fn name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(text) => text.split_once('>').map(|(_, rest)| rest),
        None => {
            let rest = text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
            (text.len() - rest.len() >= 3).then_some(rest)
        }
    }
}

/// `[+-]h[:mm[:ss]]` at the beginning of the text, in seconds, and what follows.
fn clock(text: &str) -> Option<(i64, &str)> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || letter == ':')).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let mut seconds = 0;
    for (part, unit) in digits.split(':').zip([HOUR, MINUTE, 1]) {
        seconds += part.parse::<i64>().ok().filter(|number| *number <= 167)? * unit;
    }
    Some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use time::{OffsetDateTime, UtcOffset};

    use super::{Table, Zone};

    fn hours(zone: &str, moment: OffsetDateTime) -> f64 {
        f64::from(Zone::read(Some(zone)).offset_at(moment).whole_seconds()) / 3600.0
    }

    #[test]
    fn rules_know_summer_and_winter() {
        // By POSIX alone: this machine may have no descriptions.
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        for (moment, expected) in [
            (datetime!(2026-01-15 12:00 UTC), 1.0),
            (datetime!(2026-03-29 00:59:59 UTC), 1.0),
            (datetime!(2026-03-29 01:00 UTC), 2.0),
            (datetime!(2026-10-25 00:59:59 UTC), 2.0),
            (datetime!(2026-10-25 01:00 UTC), 1.0),
        ] {
            assert_eq!(hours(berlin, moment), expected, "{moment}");
        }
        let (july, january) = (datetime!(2026-07-01 0:00 UTC), datetime!(2026-01-01 0:00 UTC));
        for (zone, winter, summer) in [
            ("CST-8", 8.0, 8.0),
            ("<+0530>-5:30", 5.5, 5.5),
            ("EST5EDT", -5.0, -4.0),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", 11.0, 10.0),
            ("XXX3YYY,J60/0,J300/0", -3.0, -2.0),
            ("XXX3YYY2:30,59/0,299/-1", -3.0, -2.5),
            (":UTC0", 0.0, 0.0),
            ("", 0.0, 0.0),
            ("no such zone", 0.0, 0.0),
            ("../../../etc/passwd", 0.0, 0.0),
        ] {
            assert_eq!((hours(zone, january), hours(zone, july)), (winter, summer), "{zone}");
        }
    }

    /// A description with one change, from `before` to `after` hours at that moment, and a rule.
    fn description(before: i32, moment: i64, after: i32, rule: &str) -> Vec<u8> {
        let head = |counts: [u32; 6]| {
            let mut head = b"TZif2".to_vec();
            head.resize(20, 0);
            head.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
            head
        };
        let mut bytes = head([0; 6]);
        bytes.extend(head([0, 0, 0, 1, 2, 4]));
        bytes.extend(moment.to_be_bytes());
        bytes.push(1);
        for hours in [before, after] {
            bytes.extend((hours * 3600).to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(b"LMT\0");
        bytes.extend(format!("\n{rule}\n").bytes());
        bytes
    }

    #[test]
    fn descriptions_are_read_whole_or_not_at_all() {
        let bytes = description(0, 1_000_000_000, 3, "");
        let table = Table::parse(&bytes).unwrap();
        assert_eq!(table, Table { before: 0, changes: vec![(1_000_000_000, 3 * 3600)], rule: None });
        for length in 0..bytes.len() - 2 {
            assert_eq!(Table::parse(&bytes[..length]), None, "{length}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), description(0, 1_000_000_000, 3, "CET-1CEST,M3.5.0,M10.5.0/3")).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(hours(path, datetime!(2000-01-01 0:00 UTC)), 0.0);
        // After the last change the rule holds, whatever that change was to.
        assert_eq!(hours(path, datetime!(2026-07-01 0:00 UTC)), 2.0);
    }

    #[test]
    fn clocks_say_which_offset_holds() {
        let zone = Zone::read(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        let of = |local| zone.offset_of(local);
        let [one, two] = [1, 2].map(|hours| UtcOffset::from_hms(hours, 0, 0).unwrap());
        assert_eq!((of(datetime!(2026-03-29 1:59)), of(datetime!(2026-03-29 3:00))), (one, two));
        assert_eq!((of(datetime!(2026-10-25 1:59)), of(datetime!(2026-10-25 3:00))), (two, one));
    }
}
