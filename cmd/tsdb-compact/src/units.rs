//! Durations, sizes and times as Prometheus and people write them.

use std::num::NonZeroU64;

pub(crate) use tsdb::vfs::display_bytes;

/// A duration in Prometheus's syntax (`15d`, `2h30m`, `250ms`), in milliseconds.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let invalid = || format!("not a duration such as 2h, 15d or 1h30m: {text:?}");
    let (mut rest, mut total, mut from) = (text, 0i64, 0);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| invalid())?;
        let unit_end = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count() + digits;
        let unit = &rest[digits..unit_end];
        // Units come from long to short, each at most once.
        let at =
            UNITS.iter().skip(from).position(|(name, _)| *name == unit).ok_or_else(invalid)? + from;
        let value = number.checked_mul(UNITS[at].1).ok_or_else(invalid)?;
        total = total.checked_add(value).ok_or_else(invalid)?;
        from = at + 1;
        rest = &rest[unit_end..];
    }
    Ok(total)
}

/// A size: plain bytes, or with KB, MB, GB, TB (as Prometheus: powers of 1024) or KiB, MiB, ...
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let invalid = || format!("not a size such as 48MiB or 1073741824: {text:?}");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| invalid())?;
    let unit = text[digits..].trim_start().to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(invalid()),
    };
    number.checked_mul(1 << shift).ok_or_else(invalid)
}

/// A length of segment files. A chunk reference has 32 bits for the offset, so there is a most.
pub(crate) fn parse_segment_bytes(text: &str) -> Result<u64, String> {
    match parse_bytes(text)? {
        0 => Err("a segment file holds one chunk at least; 512MiB is Prometheus's size".to_owned()),
        bytes if bytes > 1 << 32 => Err("chunk references reach no further than 4GiB".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Bytes a second: one buffer at least, or a signal would have to wait for seconds.
pub(crate) fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let bytes = parse_bytes(text)?;
    let enough = NonZeroU64::new(bytes).filter(|bytes| bytes.get() >= 1 << 20);
    enough.ok_or_else(|| "1MiB a second is the least".to_owned())
}

/// A count with separators for people: `1,234,567`.
pub(crate) fn display_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time in milliseconds since the epoch, in UTC: `2023-11-15T00:00:00Z`.
pub(crate) fn display_time(ms: i64) -> String {
    let (year, month, day) = civil_date(ms.div_euclid(86_400_000));
    let (hour, minute, second) = time_of_day(ms);
    let millis = ms.rem_euclid(1000);
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A time in whole seconds as Go prints it: `2023-11-15 00:00:00 +0000 UTC`.
pub(crate) fn go_time(ms: i64) -> String {
    // Go's division drops the fraction, towards zero.
    let ms = ms / 1000 * 1000;
    let (year, month, day) = civil_date(ms.div_euclid(86_400_000));
    let (hour, minute, second) = time_of_day(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} +0000 UTC")
}

/// A duration as Go prints it: `2h0m0s`, `1m30.5s`, `250ms`.
pub(crate) fn go_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    if ms < 1000 {
        return format!("{sign}{ms}ms");
    }
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let fraction = format!(".{:03}", ms % 1000);
    let seconds = format!("{seconds}{}s", fraction.trim_end_matches('0').trim_end_matches('.'));
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}"),
        (0, _) => format!("{sign}{minutes}m{seconds}"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}"),
    }
}

/// A number of bytes as promtool prints it, unit by unit: `96KiB613B`.
pub(crate) fn go_base2_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u32); 7] =
        [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let of = |shift: u32| if shift == 60 { bytes >> 60 } else { (bytes >> shift) & 1023 };
    let parts = UNITS.iter().map(|(unit, shift)| (unit, of(*shift)));
    let text: String =
        parts.filter(|(_, n)| *n > 0).map(|(unit, n)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0B".to_owned() } else { text }
}

fn time_of_day(ms: i64) -> (i64, i64, i64) {
    let second = ms.div_euclid(1000).rem_euclid(86_400);
    (second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since the epoch, by Howard Hinnant's algorithm: years begin in
/// March, eras have 400.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheus_durations() {
        assert_eq!(parse_duration_ms("2h"), Ok(7_200_000));
        assert_eq!(parse_duration_ms("1d12h30m"), Ok(131_400_000));
        assert_eq!(parse_duration_ms("250ms"), Ok(250));
        for wrong in ["", "2", "h", "1h2d", "1h1h", "-1h", "99999999999y"] {
            assert!(parse_duration_ms(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_bytes("48MiB"), Ok(48 << 20));
        assert_eq!(parse_bytes("1GB"), Ok(1 << 30));
        assert_eq!(parse_bytes("512"), Ok(512));
        assert_eq!((parse_bytes("5B"), parse_bytes("5 k")), (Ok(5), Ok(5 << 10)));
        let wrong =
            ["", "MiB", "1x", "99999999999TB", "1.5MB", "5bbb", "5iii", "5i", "5ib", "5kbb"];
        for wrong in wrong {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_promtool_prints_is_printed_alike() {
        assert_eq!(go_time(1_700_006_400_000), "2023-11-15 00:00:00 +0000 UTC");
        assert_eq!(go_time(-1500), "1969-12-31 23:59:59 +0000 UTC");
        assert_eq!(go_duration(7_200_000), "2h0m0s");
        assert_eq!(go_duration(90_500), "1m30.5s");
        assert_eq!(go_duration(1001), "1.001s");
        assert_eq!((go_duration(250), go_duration(0)), ("250ms".to_owned(), "0s".to_owned()));
        assert_eq!(go_base2_bytes(98_917), "96KiB613B");
        assert_eq!(go_base2_bytes((3 << 30) + 5), "3GiB5B");
        assert_eq!(go_base2_bytes(0), "0B");
    }

    #[test]
    fn times_and_counts_are_readable() {
        assert_eq!(display_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(display_time(1_700_006_400_000), "2023-11-15T00:00:00Z");
        assert_eq!(display_time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(display_time(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(display_count(1_234_567), "1,234,567");
        assert_eq!(display_bytes(563 << 20), "563.0 MiB");
    }
}
