//! Cells of the job tables, as the original wrote them.

use time::OffsetDateTime;

use crate::ui::{Zone, text};

/// What stands where there is no time.
pub(super) const ABSENT: &str = "N/A";

/// Milliseconds as `00h:01m:16s`.
pub(super) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    format!("{:02}h:{:02}m:{:02}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Milliseconds since 1970 as `YYYY-MM-DD HH:MM:SS` in local time, or `N/A`.
pub(super) fn time(milliseconds: Option<i64>, zone: Zone) -> String {
    let moment = milliseconds.and_then(|value| OffsetDateTime::from_unix_timestamp(value.div_euclid(1000)).ok());
    moment.map_or_else(|| ABSENT.to_owned(), |moment| text::local_time(moment, zone))
}

#[cfg(test)]
mod tests {
    use super::{Zone, duration, time};

    #[test]
    fn cells_look_like_the_original_s() {
        assert_eq!(duration(76_999), "00h:01m:16s");
        assert_eq!(duration(0), "00h:00m:00s");
        assert_eq!(duration(360_000_000), "100h:00m:00s");
        assert_eq!(time(Some(1_680_061_287_500), Zone::default()), "2023-03-29 03:41:27");
        assert_eq!(time(Some(1_680_061_287_500), Zone::read(Some("CST-8"))), "2023-03-29 11:41:27");
        assert_eq!(time(None, Zone::default()), "N/A");
    }
}
