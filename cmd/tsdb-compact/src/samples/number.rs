//! Numbers as Prometheus and its tools print them.

use std::fmt::Write;

/// The shortest decimal digits that give the number back, and the power of ten behind the first.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Decimal {
    fn of(value: f64) -> Self {
        let scientific = format!("{:e}", value.abs());
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        Self {
            negative: value.is_sign_negative(),
            digits: digits.chars().filter(|&c| c != '.').collect(),
            exponent: exponent.parse().unwrap_or_default(),
        }
    }

    /// `1.25e+06`; `pad` stands in front of an exponent of one digit.
    fn write_scientific(&self, pad: &str, out: &mut String) {
        let (first, rest) = self.digits.split_at(1);
        out.push_str(first);
        if !rest.is_empty() {
            out.push('.');
            out.push_str(rest);
        }
        let sign = if self.exponent < 0 { '-' } else { '+' };
        let pad = if self.exponent.abs() < 10 { pad } else { "" };
        let _ = write!(out, "e{sign}{pad}{}", self.exponent.abs());
    }

    /// `1250000` or `0.00125`.
    fn write_plain(&self, out: &mut String) {
        let Ok(point) = usize::try_from(self.exponent) else {
            out.push_str("0.");
            (1..-self.exponent).for_each(|_| out.push('0'));
            out.push_str(&self.digits);
            return;
        };
        match self.digits.split_at_checked(point + 1) {
            Some((whole, "")) => out.push_str(whole),
            Some((whole, fraction)) => {
                out.push_str(whole);
                out.push('.');
                out.push_str(fraction);
            }
            None => {
                out.push_str(&self.digits);
                (self.digits.len()..=point).for_each(|_| out.push('0'));
            }
        }
    }
}

/// Appends `NaN`, `+Inf` or `-Inf`; false if the number is finite.
fn write_special(value: f64, out: &mut String) -> bool {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    !value.is_finite()
}

/// Appends a number as promtool prints samples: with an exponent from a million on, and below a
/// ten thousandth.
pub(crate) fn write_general(value: f64, out: &mut String) {
    write_float(value, -4..6, "0", out);
}

/// Appends a number as Prometheus's HTTP API writes sample values: without an exponent for all
/// but very large and very small numbers.
pub(crate) fn write_api(value: f64, out: &mut String) {
    write_float(value, -6..21, "", out);
}

fn write_float(value: f64, plain: std::ops::Range<i32>, exponent_pad: &str, out: &mut String) {
    if write_special(value, out) {
        return;
    }
    let decimal = Decimal::of(value);
    if decimal.negative {
        out.push('-');
    }
    if value == 0.0 || plain.contains(&decimal.exponent) {
        decimal.write_plain(out);
    } else {
        decimal.write_scientific(exponent_pad, out);
    }
}

/// Appends a time in milliseconds as seconds with three decimals.
pub(crate) fn write_seconds(time_ms: i64, out: &mut String) {
    let sign = if time_ms < 0 { "-" } else { "" };
    let time_ms = time_ms.unsigned_abs();
    let _ = write!(out, "{sign}{}.{:03}", time_ms / 1000, time_ms % 1000);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    /// What Go 1.26 prints for `%g`.
    #[test]
    fn general_numbers_are_gos() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-10.5, "-10.5"),
            (100_000.0, "100000"),
            (999_999.0, "999999"),
            (123_456.7, "123456.7"),
            (1e6, "1e+06"),
            (1_234_567.8, "1.2345678e+06"),
            (1e20, "1e+20"),
            (1.5e21, "1.5e+21"),
            (0.1, "0.1"),
            (0.00012, "0.00012"),
            (1.25e-5, "1.25e-05"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(written(|out| write_general(value, out)), want);
        }
    }

    /// What Prometheus 3.15's API writes.
    #[test]
    fn api_numbers_are_those_of_prometheus() {
        for (value, want) in [
            (0.0, "0"),
            (1e6, "1000000"),
            (123_456_789.25, "123456789.25"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000001, "0.000001"),
            (0.00000012, "1.2e-7"),
            (1e-12, "1e-12"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(|out| write_api(value, out)), want);
        }
    }

    #[test]
    fn seconds_have_three_decimals() {
        for (time_ms, want) in [
            (0, "0.000"),
            (1_700_000_000_123, "1700000000.123"),
            (-1, "-0.001"),
            (-1500, "-1.500"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(written(|out| write_seconds(time_ms, out)), want);
        }
    }
}
