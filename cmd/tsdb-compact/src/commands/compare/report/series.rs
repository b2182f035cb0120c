//! A figure over time, over all valid runs of an arm: the median run and how far the others are
//! from it.

use tsdb_bench_harness::sample::Sample;
use tsdb_bench_harness::stats::Spread;

use super::super::arms::Side;
use super::super::model::{Report, Run};

/// Most points of a line; more can't be told apart in a report.
const POINTS_MAX: f64 = 240.0;

/// Lowest, middle and highest value of the runs at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BandPoint {
    pub(super) seconds: f64,
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

/// What is drawn over time.
pub(super) type Figure = fn(&Sample) -> Option<u64>;

/// Page cache: of the cgroup, or of the output where there is none.
pub(super) fn page_cache(sample: &Sample) -> Option<u64> {
    let of_group = sample.memory.and_then(|memory| memory.cache_bytes);
    of_group.or_else(|| Some(sample.output?.cached_bytes))
}

/// Dirty pages and those under writeback.
pub(super) fn dirty_pages(sample: &Sample) -> Option<u64> {
    let of_group =
        sample.memory.and_then(|memory| Some(memory.dirty_bytes? + memory.writeback_bytes?));
    of_group.or_else(|| {
        let output = sample.output?;
        Some(output.dirty_bytes? + output.writeback_bytes?)
    })
}

/// The band of an arm; empty if nobody could tell.
pub(super) fn band(report: &Report, side: Side, figure: Figure) -> Vec<BandPoint> {
    let lines: Vec<Vec<(f64, f64)>> =
        report.valid_runs(side).map(|run| line(run, figure)).filter(|l| !l.is_empty()).collect();
    let end = lines.iter().filter_map(|line| Some(line.last()?.0)).fold(0.0, f64::max);
    let step = report.settings.sample_every.as_secs_f64().max(end / POINTS_MAX);
    let mut points = Vec::new();
    let mut number = 0.0;
    while number * step <= end {
        let seconds = number * step;
        let values = lines.iter().filter_map(|line| value_at(line, seconds));
        if let Some(Spread { median, min, max }) = Spread::of(values) {
            points.push(BandPoint { seconds, low: min, median, high: max });
        }
        number += 1.0;
    }
    points
}

fn line(run: &Run, figure: Figure) -> Vec<(f64, f64)> {
    let points = run.samples.iter();
    points.filter_map(|sample| Some((sample.seconds, figure(sample)? as f64))).collect()
}

/// On a straight line between the samples; none behind the last one.
fn value_at(line: &[(f64, f64)], seconds: f64) -> Option<f64> {
    let behind = line.partition_point(|(at, _)| *at < seconds);
    let &(next_at, next) = line.get(behind)?;
    let Some(&(at, value)) = behind.checked_sub(1).and_then(|before| line.get(before)) else {
        return Some(next);
    };
    let share = if next_at > at { (seconds - at) / (next_at - at) } else { 0.0 };
    Some(value + (next - value) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_on_the_line() {
        let line = [(0.0, 0.0), (1.0, 10.0), (3.0, 30.0)];
        assert_eq!(value_at(&line, 0.0), Some(0.0));
        assert_eq!(value_at(&line, 0.5), Some(5.0));
        assert_eq!(value_at(&line, 2.0), Some(20.0));
        assert_eq!(value_at(&line, 3.1), None);
        assert_eq!(value_at(&[], 0.0), None);
    }
}
