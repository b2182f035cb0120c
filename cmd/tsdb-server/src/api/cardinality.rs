//! Which labels the head's series have, and how often, for `/api/v1/status/tsdb`.
//!
//! Source: Prometheus 3.15, `tsdb/index/postings.go` (`Stats`) and `tsdb/head.go`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tsdb::db::Db;
use tsdb::query::{METRIC_NAME, Querier, QueryError, TimeRange};

/// Counting goes through all series: its outcome is good for so long, as in Prometheus.
const EXPIRY: Duration = Duration::from_secs(30);

/// A name, and how often, or how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Stat {
    pub(super) name: String,
    pub(super) value: u64,
}

/// The labels that weigh most, the heaviest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Cardinality {
    pub(super) label_pairs: usize,
    pub(super) series_by_metric: Vec<Stat>,
    pub(super) values_by_name: Vec<Stat>,
    pub(super) bytes_by_name: Vec<Stat>,
    pub(super) series_by_pair: Vec<Stat>,
}

/// What was counted last.
#[derive(Debug, Default)]
pub(crate) struct CardinalityCache(Mutex<Option<(Instant, usize, Cardinality)>>);

impl CardinalityCache {
    /// What was counted a short while ago, or now; up to `limit` of each kind. Who asks meanwhile
    /// waits, and counts nothing itself.
    pub(super) fn get(&self, db: &Db, limit: usize) -> Result<Cardinality, QueryError> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((counted, of_limit, cardinality)) = &*cached
            && counted.elapsed() < EXPIRY
            && *of_limit == limit
        {
            return Ok(cardinality.clone());
        }
        let cardinality = count(db, limit)?;
        *cached = Some((Instant::now(), limit, cardinality.clone()));
        Ok(cardinality)
    }
}

fn count(db: &Db, limit: usize) -> Result<Cardinality, QueryError> {
    let view = db.head().view(TimeRange::ALL);
    let mut found = Querier::new([]).with_head(&view).select(&[], TimeRange::ALL)?;
    // The strings are the head's: nothing is copied for a series.
    let mut pairs: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    while let Some(series) = found.next()? {
        for &pair in series.labels() {
            *pairs.entry(pair).or_default() += 1;
        }
    }
    let mut names: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (&(name, value), &series) in &pairs {
        let (values, bytes) = names.entry(name).or_default();
        *values += 1;
        *bytes += series * (text_bytes(name) + text_bytes(value));
    }
    let metrics = pairs.iter().filter(|((name, _), _)| *name == METRIC_NAME);
    Ok(Cardinality {
        label_pairs: pairs.len(),
        series_by_metric: heaviest(metrics.map(|((_, value), n)| (*n, *value)), limit),
        values_by_name: heaviest(names.iter().map(|(name, (values, _))| (*values, *name)), limit),
        bytes_by_name: heaviest(names.iter().map(|(name, (_, bytes))| (*bytes, *name)), limit),
        series_by_pair: heaviest(
            pairs.iter().map(|((name, value), n)| (*n, format!("{name}={value}"))),
            limit,
        ),
    })
}

/// What a string takes among a series' labels in Prometheus: its bytes behind their number.
fn text_bytes(text: &str) -> u64 {
    text.len() as u64 + if text.len() < 255 { 1 } else { 4 }
}

/// The `limit` with the highest values, by value falling, then by name.
fn heaviest<N: AsRef<str> + Ord>(all: impl Iterator<Item = (u64, N)>, limit: usize) -> Vec<Stat> {
    let mut all: Vec<(u64, N)> = all.collect();
    let order = |a: &(u64, N), b: &(u64, N)| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1));
    if all.len() > limit {
        all.select_nth_unstable_by(limit, order);
        all.truncate(limit);
    }
    all.sort_by(order);
    let stat = |(value, name): (u64, N)| Stat { name: name.as_ref().to_owned(), value };
    all.into_iter().map(stat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_come_first() {
        let all = [(1, "a"), (3, "b"), (2, "c"), (3, "a")];
        let names = |limit| {
            let stats = heaviest(all.into_iter(), limit);
            stats.iter().map(|stat| format!("{}{}", stat.name, stat.value)).collect::<Vec<_>>()
        };
        assert_eq!(names(2), ["a3", "b3"]);
        assert_eq!(names(9), ["a3", "b3", "c2", "a1"]);
    }
}
