//! Numbers of a report as people read them.

use super::rows::{Row, Unit};
use crate::units::{display_bytes, display_count};

/// A value with its unit.
pub(super) fn show_value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => display_bytes(value.max(0.0).round() as u64),
        Unit::Count => display_count(value.max(0.0).round() as u64),
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Seconds => show_seconds(value),
    }
}

/// Three digits or so, whatever the magnitude.
fn show_seconds(seconds: f64) -> String {
    match seconds.abs() {
        0.0 => "0 s".to_owned(),
        s if s < 1e-3 => format!("{:.0} us", seconds * 1e6),
        s if s < 0.1 => format!("{:.1} ms", seconds * 1e3),
        s if s < 10.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.1} s"),
    }
}

/// `-97.3 %`, of the medians; `None` where there is nothing to divide by.
pub(super) fn percent_change(row: &Row) -> Option<String> {
    Some(show_change(row.ratio?))
}

fn show_change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    let sign = if percent < 0.0 { "-" } else { "+" };
    let digits = match percent {
        p if p >= 1000.0 => 0,
        // What is left of nearly nothing is not nothing.
        p if p < -99.9 && ratio > 0.0 => 3,
        _ => 1,
    };
    format!("{sign}{:.digits$} %", percent.abs())
}

/// A p-value.
pub(super) fn show_p(p: f64) -> String {
    match p {
        p if p < 0.0001 => "<0.0001".to_owned(),
        p if p < 0.01 => format!("{p:.4}"),
        _ => format!("{p:.2}"),
    }
}

/// A median and half the width of its interval: `3.40 s ± 2 %`; `∞` where too few runs leave it
/// open.
pub(super) fn show_median(median: &tsdb_bench_harness::stats::Median, unit: Unit) -> String {
    let value = show_value(median.value, unit);
    if median.confidence < 0.95 {
        return format!("{value} ± ∞");
    }
    match median.relative_error() {
        Some(share) => format!("{value} ± {:.0} %", share * 100.0),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits_or_so() {
        assert_eq!(show_value(0.000_123, Unit::Seconds), "123 us");
        assert_eq!(show_value(0.0123, Unit::Seconds), "12.3 ms");
        assert_eq!(show_value(1.234, Unit::Seconds), "1.23 s");
        assert_eq!(show_value(83.21, Unit::Seconds), "83.2 s");
        assert_eq!(show_value(1_048_576.0, Unit::Bytes), "1.0 MiB");
        assert_eq!(show_value(12_345.0, Unit::Count), "12,345");
        assert_eq!(show_value(0.9876, Unit::Share), "98.8 %");
        assert_eq!([0.5, 1.021, 12.0].map(show_change), ["-50.0 %", "+2.1 %", "+1100 %"]);
        assert_eq!([0.0, 0.000_097].map(show_change), ["-100.0 %", "-99.990 %"]);
        assert_eq!((show_p(0.000_01), show_p(0.0012)), ("<0.0001".to_owned(), "0.0012".to_owned()));
    }
}
