//! Days and times of the proleptic Gregorian calendar, to and from text.
//!
//! A day is its distance from 1970-01-01; the calendar is computed by counting the days before a
//! year, so it holds for every `i32`.

use arrow_schema::TimeUnit;

/// Days from 0001-01-01 to 1970-01-01.
const EPOCH: i64 = 719_162;
/// Days of a whole turn of the calendar, 400 years.
const TURN: i64 = 146_097;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Days from 0001-01-01 to the first of `year`.
fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    365 * past + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

fn days_of_month(year: i64, month: u32) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if days_before_year(year + 1) - days_before_year(year) == 366 => 29,
        2 => 28,
        _ => 31,
    }
}

/// Reads `YYYY-MM-DD`, years 0001 to 9999, as days since 1970-01-01.
pub(crate) fn parse(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        bytes[range]
            .iter()
            .try_fold(0_u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let year = i64::from(year);
    if year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || i64::from(day) > days_of_month(year, month) {
        return None;
    }
    let before_month: i64 = (1..month).map(|m| days_of_month(year, m)).sum();
    let days = days_before_year(year) + before_month + i64::from(day) - 1 - EPOCH;
    i32::try_from(days).ok()
}

/// Writes a day as `YYYY-MM-DD`.
pub(crate) fn write(days: i64) -> String {
    let since_first = days + EPOCH;
    let mut year = since_first * 400 / TURN + 1;
    while days_before_year(year) > since_first {
        year -= 1;
    }
    while days_before_year(year + 1) <= since_first {
        year += 1;
    }
    let mut day = since_first - days_before_year(year);
    let mut month = 1;
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", day + 1)
}

#[cfg_attr(not(feature = "build"), allow(dead_code))]
/// Writes a point in time as in RFC 3339, with `Z` if it is in UTC and no offset if the zone is
/// unknown; None outside the years 0001 to 9999, which RFC 3339 cannot write.
pub(crate) fn write_time(ticks: i64, unit: TimeUnit, utc: bool) -> Option<String> {
    let (a_second, digits) = match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    };
    let seconds = ticks.div_euclid(a_second);
    let days = seconds.div_euclid(DAY);
    if days < -EPOCH || days >= days_before_year(10_000) - EPOCH {
        return None;
    }
    let (hour, minute, second) = {
        let s = seconds.rem_euclid(DAY);
        (s / 3600, s / 60 % 60, s % 60)
    };
    let mut text = format!("{}T{hour:02}:{minute:02}:{second:02}", write(days));
    let fraction = ticks.rem_euclid(a_second);
    if fraction != 0 {
        let written = format!("{fraction:0digits$}");
        text.push('.');
        text.push_str(written.trim_end_matches('0'));
    }
    if utc {
        text.push('Z');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2024-12-31", 20_088),
            ("0001-01-01", -719_162),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(parse(text), Some(days), "{text}");
            assert_eq!(write(i64::from(days)), text);
        }
    }

    #[test]
    fn what_is_no_day() {
        for text in [
            "",
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-04-31",
            "0000-01-01",
            "2024-1-01",
            "2024-01-1",
            "24-01-01",
            "2024/01/01",
            "+024-01-01",
            "2024-01-01T",
            "20é-01-01",
            "２０24-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        let write = |ticks, unit| write_time(ticks, unit, true);
        assert_eq!(write(0, TimeUnit::Second).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(write(-1, TimeUnit::Millisecond).as_deref(), Some("1969-12-31T23:59:59.999Z"));
        assert_eq!(
            write(1_706_704_496_000_500, TimeUnit::Microsecond).as_deref(),
            Some("2024-01-31T12:34:56.0005Z")
        );
        assert_eq!(
            write_time(1, TimeUnit::Nanosecond, false).as_deref(),
            Some("1970-01-01T00:00:00.000000001")
        );
        assert_eq!(write(i64::MAX, TimeUnit::Second), None);
        assert_eq!(write(i64::MIN, TimeUnit::Second), None);
        assert!(write(i64::MIN, TimeUnit::Nanosecond).is_some());
    }

    proptest! {
        #[test]
        fn every_day_is_read_back(days in -719_162_i32..=2_932_896) {
            prop_assert_eq!(parse(&write(i64::from(days))), Some(days));
        }

        #[test]
        fn no_day_is_too_far(days in any::<i32>()) {
            prop_assert!(write(i64::from(days)).len() >= 10);
        }
    }
}
