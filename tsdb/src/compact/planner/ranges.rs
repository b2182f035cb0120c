//! Block ranges: 2h, 6h, 18h, ... up to a cap.

/// Length of a block cut from the head, in milliseconds: 2 hours.
pub const DEFAULT_BLOCK_RANGE_MS: i64 = 2 * 60 * 60 * 1000;

/// Ranges that Prometheus makes before it caps them.
const RANGES_MAX: usize = 10;
/// Each range is this many times the one before.
const RANGE_STEP: i64 = 3;
/// No block of Prometheus's own making is longer than 31 days.
const BLOCK_RANGE_MS_MAX: i64 = 31 * 24 * 60 * 60 * 1000;

/// `steps` ranges from `min_range_ms`, each `step_size` times the one before. Ends early where the
/// next would not fit 64 bits.
#[must_use]
pub fn exponential_block_ranges(min_range_ms: i64, steps: usize, step_size: i64) -> Vec<i64> {
    std::iter::successors(Some(min_range_ms), |range| range.checked_mul(step_size))
        .take(steps)
        .collect()
}

/// The longest block range in milliseconds: 31 days, or a tenth of the time retention if that is
/// shorter. `None` or 0 is a server without time retention.
#[must_use]
pub fn max_block_range_ms(retention_ms: Option<i64>) -> i64 {
    match retention_ms {
        None | Some(0) => BLOCK_RANGE_MS_MAX,
        Some(retention_ms) => BLOCK_RANGE_MS_MAX.min(retention_ms / 10),
    }
}

/// The ranges of a server with these shortest and longest blocks: ten powers of three times
/// `min_range_ms` (2 h if not positive), as far as they do not exceed `max_range_ms`, and at least
/// the first.
#[must_use]
pub fn capped_block_ranges(min_range_ms: i64, max_range_ms: i64) -> Vec<i64> {
    let min_range_ms = if min_range_ms <= 0 { DEFAULT_BLOCK_RANGE_MS } else { min_range_ms };
    let max_range_ms = max_range_ms.max(min_range_ms);
    let mut ranges = exponential_block_ranges(min_range_ms, RANGES_MAX, RANGE_STEP);
    ranges.retain(|&range| range <= max_range_ms);
    ranges
}

/// The ranges of a server with 2 h blocks and this time retention.
#[must_use]
pub fn default_block_ranges(retention_ms: Option<i64>) -> Vec<i64> {
    capped_block_ranges(DEFAULT_BLOCK_RANGE_MS, max_block_range_ms(retention_ms))
}

/// `range_ms` as Prometheus writes durations: `2h`, `2d6h`, `1m30s`.
#[must_use]
pub fn display_range_ms(range_ms: i64) -> String {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    if range_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if range_ms < 0 {
        text.push('-');
    }
    let mut rest = range_ms.unsigned_abs();
    for (unit, unit_ms) in UNITS {
        if rest >= unit_ms {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    text
}
