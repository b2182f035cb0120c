//! How long the writes of an arm took, by the metrics that it leaves.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

const WRITES: &str = "tsdb_compactor_chunk_write_duration_seconds";

/// Write calls of one run, or of many, by how long they took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Writes {
    pub(super) count: u64,
    pub(super) seconds: f64,
    /// Upper bounds in seconds, and how many took no longer; without the one that has no bound.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Writes {
    /// From the metrics file of a run; `None` if it does not tell.
    pub(super) fn read(path: &Path) -> Option<Self> {
        Self::named(&fs::read_to_string(path).ok()?, WRITES)
    }

    /// From metrics in Prometheus's text format: any histogram of one series.
    pub(super) fn named(text: &str, name: &str) -> Option<Self> {
        parse(text, name)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.seconds += other.seconds;
        for ((bound, count), (other_bound, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            debug_assert!(bound == other_bound, "the bounds of a metric are fixed");
            *count += more;
        }
    }

    /// The time that a share of the writes did not exceed, as Prometheus's `histogram_quantile`
    /// reckons it: on a straight line within the bucket.
    pub(super) fn quantile_seconds(&self, share: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let wanted = share * self.count as f64;
        let (mut lower, mut below) = (0.0, 0);
        for &(bound, count) in &self.buckets {
            if count as f64 >= wanted && count > below {
                let within = (wanted - below as f64) / (count - below) as f64;
                return Some(lower + (bound - lower) * within);
            }
            (lower, below) = (bound, count);
        }
        Some(lower)
    }
}

fn parse(text: &str, name: &str) -> Option<Writes> {
    let mut writes = Writes::default();
    let mut counted = false;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let (series, value) = rest.rsplit_once(' ')?;
        if series.starts_with("_count") {
            writes.count = value.parse::<f64>().ok()? as u64;
            counted = true;
        } else if series.starts_with("_sum") {
            writes.seconds = value.parse().ok()?;
        } else if series.starts_with("_bucket") {
            let bound = series.split_once("le=\"")?.1.split_once('"')?.0;
            if bound != "+Inf" {
                writes.buckets.push((bound.parse().ok()?, value.parse::<f64>().ok()? as u64));
            }
        }
    }
    counted.then_some(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 writes up to 1 ms, 90 up to 2 ms: the median lies 40 of 90 into the second bucket.
    #[test]
    fn quantiles_lie_within_their_bucket() {
        let writes = Writes { count: 100, seconds: 0.1, buckets: vec![(0.001, 10), (0.002, 100)] };
        let near = |got: Option<f64>, wanted: f64| (got.unwrap() - wanted).abs() < 1e-12;
        assert!(near(writes.quantile_seconds(0.5), 0.001 + 0.001 * 40.0 / 90.0));
        assert!(near(writes.quantile_seconds(0.1), 0.001));
        assert!(near(writes.quantile_seconds(1.0), 0.002));
        assert_eq!(Writes::default().quantile_seconds(0.5), None);
        let mut twice = writes.clone();
        twice.add(&writes);
        assert_eq!((twice.count, twice.buckets), (200, vec![(0.001, 20), (0.002, 200)]));
    }

    #[test]
    fn a_histogram_is_read_back() {
        let text = "# TYPE other counter\nother_total 1\n\
            tsdb_compactor_chunk_write_duration_seconds_sum{mode=\"uncached\"} 0.25\n\
            tsdb_compactor_chunk_write_duration_seconds_count{mode=\"uncached\"} 7\n\
            tsdb_compactor_chunk_write_duration_seconds_bucket{le=\"0.001\",mode=\"uncached\"} 3\n\
            tsdb_compactor_chunk_write_duration_seconds_bucket{mode=\"uncached\",le=\"+Inf\"} 7\n";
        let writes = parse(text, WRITES).unwrap();
        assert_eq!((writes.count, writes.seconds), (7, 0.25));
        assert_eq!(writes.buckets, [(0.001, 3)]);
        assert_eq!(parse("other_total 1\n", WRITES), None);
    }
}
