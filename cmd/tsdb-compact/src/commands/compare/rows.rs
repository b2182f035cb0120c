//! What is compared, and whether it differs.

use serde::{Deserialize, Serialize};
use tsdb_bench_harness::sample::Sample;
use tsdb_bench_harness::stats::{Median, holm, mann_whitney};

use super::arms::Side;
use super::model::Run;
use super::reader::QueryPhase;
use super::server::Served;

/// The chance that any row at all is flagged although nothing differs.
pub(super) const LEVEL: f64 = 0.05;
/// What is smaller is of no interest, however certain.
pub(super) const EFFECT_MIN: f64 = 0.02;

/// One figure of both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) title: String,
    pub(super) unit: Unit,
    /// Less is better, as with most of them.
    pub(super) less_is_better: bool,
    pub(super) baseline: Median,
    pub(super) candidate: Median,
    /// The candidate's median divided by the baseline's; absent where that is 0.
    pub(super) ratio: Option<f64>,
    /// Of the Mann-Whitney U test.
    pub(super) p: f64,
    /// After Holm's correction for the number of rows.
    pub(super) p_adjusted: f64,
    pub(super) change: Change,
}

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Seconds,
    Bytes,
    Count,
    Share,
}

/// What the candidate did to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// Nothing that could not be chance, or less than 2 %: `~`.
    None,
    Less,
    More,
}

impl Row {
    /// Whether it changed for the better; `None` if it did not change.
    pub(super) fn is_better(&self) -> Option<bool> {
        match self.change {
            Change::None => None,
            Change::Less => Some(self.less_is_better),
            Change::More => Some(!self.less_is_better),
        }
    }
}

/// How a figure comes out of a run.
struct Metric {
    key: &'static str,
    title: &'static str,
    unit: Unit,
    less_is_better: bool,
    value: fn(&Run) -> Option<f64>,
}

const fn metric(
    key: &'static str,
    title: &'static str,
    unit: Unit,
    value: fn(&Run) -> Option<f64>,
) -> Metric {
    Metric { key, title, unit, less_is_better: true, value }
}

const fn more(key: &'static str, title: &'static str, value: fn(&Run) -> Option<f64>) -> Metric {
    Metric { key, title, unit: Unit::Count, less_is_better: false, value }
}

use Unit::{Bytes, Count, Seconds, Share};

const METRICS: [Metric; 29] = [
    metric("wall", "Wall time", Seconds, |run| Some(run.wall_seconds)),
    metric("cpu", "CPU time", Seconds, |run| run.cpu_seconds),
    metric("cache_peak", "Page cache, peak", Bytes, |run| peak(run, |s| s.memory?.cache_bytes)),
    metric("cache_mean", "Page cache, mean while running", Bytes, mean_cache),
    metric("cache_after", "Page cache, at the end of watching", Bytes, |run| {
        Some(run.samples.last()?.memory?.cache_bytes? as f64)
    }),
    metric("output_cached", "Output in the page cache, peak", Bytes, |run| {
        peak(run, |s| Some(s.output?.cached_bytes))
    }),
    metric("output_cached_after", "Output in the page cache, at the end", Bytes, |run| {
        Some(run.samples.last()?.output?.cached_bytes as f64)
    }),
    metric("dirty_peak", "Dirty pages, peak", Bytes, |run| {
        peak(run, |s| s.memory?.dirty_bytes).or_else(|| peak(run, |s| s.output?.dirty_bytes))
    }),
    metric("writeback_peak", "Pages under writeback, peak", Bytes, |run| {
        peak(run, |s| s.memory?.writeback_bytes)
            .or_else(|| peak(run, |s| s.output?.writeback_bytes))
    }),
    metric("working_set_peak", "Working set, peak", Bytes, |run| {
        peak(run, |s| s.memory?.working_set_bytes())
    }),
    metric("rss_peak", "Anonymous memory, peak", Bytes, |run| peak(run, |s| s.memory?.rss_bytes)),
    metric("mapped_peak", "Mapped files, peak", Bytes, |run| {
        peak(run, |s| s.memory?.mapped_file_bytes)
    }),
    metric("usage_peak", "All memory, peak by the kernel", Bytes, |run| {
        Some(run.usage_peak_bytes? as f64)
    }),
    metric("limit_hits", "Times the memory limit was hit", Count, |run| {
        Some(run.limit_hits? as f64)
    }),
    metric("major_faults", "Major page faults", Count, |run| {
        Some(run.ended.memory?.major_faults? as f64)
    }),
    metric("refaults", "Pages evicted and wanted again", Count, |run| {
        Some(run.ended.memory?.refaults? as f64)
    }),
    metric("io_waiting", "Waiting for the disk", Seconds, |run| {
        Some(run.ended.pressure?.io?.waiting_seconds)
    }),
    metric("read", "Read from the disk", Bytes, |run| Some(run.io?.read_bytes as f64)),
    metric("written", "Written to the disk", Bytes, |run| Some(run.io?.written_bytes() as f64)),
    metric("write_p50", "One write, median", Seconds, |run| {
        run.writes.as_ref()?.quantile_seconds(0.5)
    }),
    metric("write_p99", "One write, 99th percentile", Seconds, |run| {
        run.writes.as_ref()?.quantile_seconds(0.99)
    }),
    metric("query_p50", "Query beside it, median", Seconds, |run| {
        answered(run, |queried| queried.p50_seconds, |served| served.query_p50_seconds)
    }),
    metric("query_p99", "Query beside it, 99th percentile", Seconds, |run| {
        answered(run, |queried| queried.p99_seconds, |served| served.query_p99_seconds)
    }),
    metric("query_max", "Query beside it, longest", Seconds, |run| {
        answered(run, |queried| queried.max_seconds, |served| served.query_max_seconds)
    }),
    metric("append_p99", "Remote write, 99th percentile", Seconds, |run| {
        run.served.as_ref()?.append_p99_seconds
    }),
    more("samples", "Samples taken", |run| Some(run.served.as_ref()?.samples_sent as f64)),
    more("flushes", "Flushes of the head", |run| Some(run.served.as_ref()?.made.flushes as f64)),
    more("compactions", "Compactions", |run| Some(run.served.as_ref()?.made.compactions as f64)),
    Metric {
        less_is_better: false,
        ..metric("hot_kept", "Hot pages that survived", Share, |run| {
            Some(run.queried.as_ref()?.loaded.kept_share_min)
        })
    },
];

/// Latency of the reader's queries, or of those that a server answered.
fn answered(
    run: &Run,
    queried: fn(&QueryPhase) -> Option<f64>,
    served: fn(&Served) -> Option<f64>,
) -> Option<f64> {
    let of_reader = run.queried.as_ref().and_then(|seen| queried(&seen.loaded));
    of_reader.or_else(|| served(run.served.as_ref()?))
}

fn peak(run: &Run, value: impl Fn(&Sample) -> Option<u64>) -> Option<f64> {
    Some(run.peak(value)? as f64)
}

/// On straight lines between the samples, until the program ended.
fn mean_cache(run: &Run) -> Option<f64> {
    let points: Vec<(f64, f64)> = run
        .samples
        .iter()
        .filter(|sample| sample.seconds <= run.wall_seconds)
        .filter_map(|sample| Some((sample.seconds, sample.memory?.cache_bytes? as f64)))
        .collect();
    let area: f64 =
        points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum();
    let seconds = points.last()?.0 - points.first()?.0;
    (seconds > 0.0).then_some(area / seconds)
}

/// The values of a row's figure in the valid runs of an arm.
pub(super) fn values(runs: &[Run], side: Side, key: &str) -> Vec<f64> {
    let Some(metric) = METRICS.iter().find(|metric| metric.key == key) else { return Vec::new() };
    runs.iter().filter(|run| run.arm == side && run.is_valid()).filter_map(metric.value).collect()
}

/// Compares the valid runs. Figures that one arm lacks are left out.
pub(super) fn rows(runs: &[Run]) -> Vec<Row> {
    let mut rows: Vec<Row> = METRICS.iter().filter_map(|metric| row(metric, runs)).collect();
    let p_values: Vec<f64> = rows.iter().map(|row| row.p).collect();
    for (row, p_adjusted) in rows.iter_mut().zip(holm(&p_values)) {
        row.p_adjusted = p_adjusted;
        row.change = change(row);
    }
    rows
}

fn row(metric: &Metric, runs: &[Run]) -> Option<Row> {
    let [before, after] = Side::BOTH.map(|side| values(runs, side, metric.key));
    let (baseline, candidate) =
        (Median::of(before.iter().copied())?, Median::of(after.iter().copied())?);
    let ratio = candidate.value / baseline.value;
    Some(Row {
        key: metric.key.to_owned(),
        title: metric.title.to_owned(),
        unit: metric.unit,
        less_is_better: metric.less_is_better,
        baseline,
        candidate,
        ratio: ratio.is_finite().then_some(ratio),
        p: mann_whitney(&before, &after)?.p,
        p_adjusted: 1.0,
        change: Change::None,
    })
}

fn change(row: &Row) -> Change {
    let (before, after) = (row.baseline.value, row.candidate.value);
    let effect = (after - before).abs() >= EFFECT_MIN * before.abs();
    match row.p_adjusted < LEVEL && effect {
        true if after < before => Change::Less,
        true if after > before => Change::More,
        _ => Change::None,
    }
}

#[cfg(test)]
mod tests;
