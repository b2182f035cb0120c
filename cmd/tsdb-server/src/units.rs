//! Durations, sizes and counts as Prometheus's flags have them.

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
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut total, mut from) = (text, 0i64, 0);
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let (digits, behind) = split(rest, |byte| byte.is_ascii_digit());
        let number: i64 = digits.parse().map_err(|_| invalid())?;
        let (unit, behind) = split(behind, |byte| byte.is_ascii_alphabetic());
        // Units come from long to short, each at most once.
        let mut units = UNITS.iter().enumerate().skip(from);
        let (at, (_, unit_ms)) = units.find(|(_, (name, _))| *name == unit).ok_or_else(invalid)?;
        let value = number.checked_mul(*unit_ms).ok_or_else(invalid)?;
        total = total.checked_add(value).ok_or_else(invalid)?;
        (from, rest) = (at + 1, behind);
    }
    Ok(total)
}

/// A size in bytes: `512MB`, `1GiB`; powers of 1024 either way, as in Prometheus.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let invalid = || format!("not a size such as 512MB or 1073741824: {text:?}");
    let (digits, unit) = split(text, |byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    let unit = unit.to_ascii_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        "e" => 60,
        _ => return Err(invalid()),
    };
    number.checked_mul(1 << shift).ok_or_else(invalid)
}

/// A count, which may be written as `5e7`.
pub(crate) fn parse_count(text: &str) -> Result<u64, String> {
    let invalid = || format!("not a count such as 1000 or 5e7: {text:?}");
    if let Ok(count) = text.parse() {
        return Ok(count);
    }
    let count: f64 = text.parse().map_err(|_| invalid())?;
    // Up to here every count is exact as a float.
    let is_count = (0.0..=9_007_199_254_740_992.0).contains(&count) && count.fract() == 0.0;
    if is_count { Ok(count as u64) } else { Err(invalid()) }
}

/// A duration as Prometheus prints it: `15d`, `1d12h`, `0s`.
pub(crate) fn display_duration_ms(ms: i64) -> String {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    if ms <= 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let mut left = ms;
    for (unit, unit_ms) in UNITS {
        let count = left / unit_ms;
        // Years and weeks only where nothing is left over.
        let is_long = matches!(unit, "y" | "w");
        if count == 0 || (is_long && left % unit_ms != 0) {
            continue;
        }
        text.push_str(&format!("{count}{unit}"));
        left -= count * unit_ms;
    }
    text
}

/// A size as Prometheus prints it: `512MiB`, `1GiB512MiB`.
pub(crate) fn display_bytes(bytes: u64) -> String {
    const UNITS: [(&str, u32); 7] =
        [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let of = |shift: u32| if shift == 60 { bytes >> 60 } else { (bytes >> shift) & 1023 };
    let parts = UNITS.iter().map(|(unit, shift)| (unit, of(*shift))).filter(|(_, n)| *n > 0);
    let text: String = parts.map(|(unit, n)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0B".to_owned() } else { text }
}

/// What satisfies `is_in` at the front, and the rest.
fn split(text: &str, is_in: impl Fn(&u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(is_in).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheuss() {
        for (text, ms) in [("15d", 15 * 86_400_000), ("1h30m", 5_400_000), ("250ms", 250), ("0", 0)]
        {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5", "m5", "1m1h", "1s1s", "1.5h", "99999999999999y", "-1s", "1ö"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        for text in ["15d", "1d12h", "2w", "250ms", "1y", "10d1s"] {
            let ms = parse_duration_ms(text).unwrap();
            assert_eq!(parse_duration_ms(&display_duration_ms(ms)), Ok(ms), "{text}");
        }
        assert_eq!(display_duration_ms(15 * 86_400_000), "15d");
    }

    #[test]
    fn sizes_are_powers_of_two() {
        for (text, bytes) in [("512MB", 512 << 20), ("1GiB", 1 << 30), ("7", 7), ("1KB", 1024)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "1XB", "99999999EB", "-1"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(display_bytes(1536 << 20), "1GiB512MiB");
        assert_eq!(display_bytes(0), "0B");
    }

    #[test]
    fn counts_may_have_an_exponent() {
        assert_eq!(parse_count("5e7"), Ok(50_000_000));
        assert_eq!(parse_count("18446744073709551615"), Ok(u64::MAX));
        for text in ["", "-1", "1.5", "1e300", "NaN"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }
}
