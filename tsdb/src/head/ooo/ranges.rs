//! Which blocks an out-of-order flush makes.

/// The ranges of the blocks that hold samples from `min_time` to `max_time`, both inclusive: start
/// inclusive, end exclusive, each `range_ms` long.
///
/// They begin at the multiple of `range_ms` that division of `min_time` gives, rounded to zero as
/// in Go: for a time below zero the first range may begin behind it. 3.15 leaves such a sample out
/// of every block and drops it; here the range in front is made as well.
pub(crate) fn ooo_ranges(
    min_time: i64,
    max_time: i64,
    range_ms: i64,
) -> impl Iterator<Item = (i64, i64)> {
    let range_ms = range_ms.max(1);
    let first = min_time.div_euclid(range_ms).saturating_mul(range_ms);
    std::iter::successors(Some(first), move |start| start.checked_add(range_ms))
        .take_while(move |start| *start <= max_time && min_time <= max_time)
        .map(move |start| (start, start.saturating_add(range_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_sample_once() {
        let of = |min, max| ooo_ranges(min, max, 100).collect::<Vec<_>>();
        assert_eq!(of(0, 99), [(0, 100)]);
        assert_eq!(of(99, 100), [(0, 100), (100, 200)]);
        assert_eq!(of(250, 430), [(200, 300), (300, 400), (400, 500)]);
        assert_eq!(of(-1, 0), [(-100, 0), (0, 100)]);
        assert_eq!(of(-200, -101), [(-200, -100)]);
        assert_eq!(of(5, 4), []);
        assert!(ooo_ranges(i64::MAX - 5, i64::MAX, 7_200_000).count() <= 2);
        assert!(ooo_ranges(i64::MIN, i64::MIN + 5, 7_200_000).count() >= 1);
    }
}
