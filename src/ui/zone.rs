//! Local time: how far it is from UTC at each moment, summer and winter. Not asked of the C library, because its answer is only for the
//! present, and only while a process has a single thread.

use std::fs::File;
use std::io::{self, Read as _};

use time::{OffsetDateTime, UtcOffset};
use tz::{TimeZone, TimeZoneSettings};

/// Where systems keep the descriptions of zones.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];
/// Longest description that is believed to be one, in bytes; real ones have up to 4 KiB, and `TZ` may name anything.
const LONGEST: u64 = 1 << 20;

/// A time zone. UTC by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Zone(Option<&'static TimeZone>);

impl Zone {
    /// The zone that a `TZ` variable names, or that of this machine where there is none; UTC where neither is known. What is read is
    /// kept until the process ends.
    pub fn read(variable: Option<&str>) -> Self {
        let settings = TimeZoneSettings::new(&FOLDERS, |path| {
            let mut bytes = Vec::new();
            File::open(path)?.take(LONGEST).read_to_end(&mut bytes).map(|_| bytes).map_err(io::Error::into)
        });
        let zone = variable.map_or_else(|| settings.parse_local(), |name| settings.parse_posix_tz(name));
        Self(zone.ok().map(|zone| &*Box::leak(Box::new(zone))))
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
        let found = self.0.and_then(|zone| zone.find_local_time_type(moment).ok());
        found.map_or(0, |kind| i64::from(kind.ut_offset()))
    }
}

fn offset(seconds: i64) -> UtcOffset {
    i32::try_from(seconds).ok().and_then(|seconds| UtcOffset::from_whole_seconds(seconds).ok()).unwrap_or(UtcOffset::UTC)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use time::{OffsetDateTime, UtcOffset};

    use super::Zone;

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
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", 11.0, 10.0),
            ("XXX3YYY,J60/0,J300/0", -3.0, -2.0),
            ("XXX3YYY2:30,59/0,299/1", -3.0, -2.5),
            (":UTC0", 0.0, 0.0),
            ("", 0.0, 0.0),
            ("no such zone", 0.0, 0.0),
            ("../../../etc/passwd", 0.0, 0.0),
        ] {
            assert_eq!((hours(zone, january), hours(zone, july)), (winter, summer), "{zone}");
        }
    }

    #[test]
    fn what_is_no_description_is_utc() {
        let moment = datetime!(2026-07-01 0:00 UTC);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "TZif2 and no more").unwrap();
        for path in [file.path().to_str().unwrap(), "/", ":/dev/zero", "/nowhere"] {
            assert_eq!(hours(path, moment), 0.0, "{path}");
        }
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
