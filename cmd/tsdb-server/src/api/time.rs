//! Times as Prometheus's API has them: seconds with a fraction, or RFC 3339.
//!
//! Source of the calendar's arithmetic: Howard Hinnant, "chrono-Compatible Low-Level Date
//! Algorithms".

use std::time::{SystemTime, UNIX_EPOCH};

/// Prometheus's first time, in milliseconds.
pub(super) const MIN_TIME_MS: i64 = (i64::MIN / 1000 + 62_135_596_801) * 1000;
/// Prometheus's last time, in milliseconds.
pub(super) const MAX_TIME_MS: i64 = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;

const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "+292277025-08-18T07:12:54.999999999Z";

const DAY_SECONDS: i64 = 86_400;

/// A time in milliseconds since the epoch; `None` for what is no time.
pub(super) fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let is_in_range = seconds.abs() < i64::MAX as f64 / 1000.0;
        return is_in_range
            .then(|| seconds.trunc() as i64 * 1000 + (seconds.fract() * 1000.0).round() as i64);
    }
    match text {
        MIN_TIME => Some(MIN_TIME_MS),
        MAX_TIME => Some(MAX_TIME_MS),
        _ => parse_rfc3339_ms(text),
    }
}

/// `2026-11-28T01:02:03.456Z`, or with an offset such as `+01:00`.
fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut parts = date.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, parts.next()?);
    let day = digits(day, 2)?;
    let is_date =
        parts.next().is_none() && (1..=12).contains(&month) && day >= 1 && day <= days(year, month);
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = digits(parts.next()?, 2)?;
    let is_time = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    if !(is_date && is_time) {
        return None;
    }
    let fraction_ms = fraction.map_or(Some(0), |fraction| {
        let is_number = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        let padded = format!("{fraction:0<3}");
        is_number.then(|| padded.get(..3)?.parse::<i64>().ok()).flatten()
    })?;
    let seconds =
        days_from_civil(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second
            - offset_seconds(zone)?;
    Some(seconds * 1000 + fraction_ms)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let seconds = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some(if sign == "-" { -seconds } else { seconds })
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A time as Go prints it in JSON: RFC 3339, in UTC.
pub(super) fn display_time(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    let (year, month, day) = civil_from_days(seconds / DAY_SECONDS);
    let of_day = seconds % DAY_SECONDS;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let fraction = format!(".{:09}", since.subsec_nanos());
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A time for a file's name: `20261128T010203Z`.
pub(super) fn compact_time(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(0);
    let (year, month, day) = civil_from_days(seconds / DAY_SECONDS);
    let of_day = seconds % DAY_SECONDS;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_forms_are_parsed() {
        for (text, ms) in [
            ("1700000000", 1_700_000_000_000),
            ("1700000000.1234", 1_700_000_000_123),
            ("-1.5", -1500),
            ("2023-11-14T22:13:20Z", 1_700_000_000_000),
            ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500),
            ("2024-02-29T00:00:00.123456789-00:30", 1_709_166_600_123),
            ("1969-12-31T23:59:59.999Z", -1),
            (MIN_TIME, MIN_TIME_MS),
            (MAX_TIME, MAX_TIME_MS),
        ] {
            assert_eq!(parse_time_ms(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "now",
            "NaN",
            "Inf",
            "1e30",
            "2023-11-14",
            "2023-02-29T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20",
            "2023-1-1T1:1:1Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1",
            "ö",
        ] {
            assert_eq!(parse_time_ms(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_parsed() {
        for seconds in [0, 951_782_400, 1_700_000_000, 4_102_444_799] {
            let time = UNIX_EPOCH + Duration::new(seconds, 250_000_000);
            let text = display_time(time);
            assert_eq!(parse_time_ms(&text), Some(seconds as i64 * 1000 + 250), "{text}");
        }
        assert_eq!(display_time(UNIX_EPOCH), "1970-01-01T00:00:00Z");
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(compact_time(time), "20231114T221320Z");
    }
}
