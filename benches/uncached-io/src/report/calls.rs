//! Tables of calls for the README: a row for each arm, a column for each figure of a latency.

use tsdb_bench_harness::latency::{FIGURES, Latency};
use tsdb_bench_harness::table::Table;

use super::tables::show_micros;
use crate::run::{Record, Run};

/// A column before those of the latency: its head, its value in a run, how many digits.
pub(super) type Column = (&'static str, fn(&Run) -> Option<f64>, usize);

/// Calls of these records in microseconds; with `reader`, what somebody else's reads took meanwhile.
pub(super) fn table<'a>(
    records: impl Iterator<Item = &'a Record>,
    columns: &[Column],
    reader: bool,
) -> Table {
    let mut heads = vec![String::new()];
    heads.extend(columns.iter().map(|(head, ..)| (*head).to_owned()));
    heads.extend(FIGURES.map(str::to_owned));
    if reader {
        heads.extend(["a reader: p50", "p99", "p99.9"].map(str::to_owned));
    }
    let mut table = Table::new(heads);
    for record in records {
        let mut row = vec![record.arm.clone()];
        for (_, value, digits) in columns {
            row.push(record.median(value).map_or("-".to_owned(), |it| format!("{it:.digits$}")));
        }
        let figures = (0..FIGURES.len()).map(|at| record.median(|run| figure(&run.calls, at)));
        row.extend(figures.map(shown));
        if reader {
            let figures = [2, 4, 5].map(|at| record.median(|run| figure(&run.reader, at)));
            row.extend(figures.map(shown));
        }
        table.row(row);
    }
    table
}

/// Without the call that makes the file durable: mean and standard deviation, and that call itself.
/// (The percentiles below the highest are the same: a call among thousands moves them by less than
/// a place.)
pub(super) fn without_the_last<'a>(records: impl Iterator<Item = &'a Record>) -> Table {
    let heads = ["", "mean", "stddev", "the last call"];
    let mut table = Table::new(heads.map(str::to_owned).to_vec());
    for record in records {
        let others = |run: &Run| others(run.calls.as_ref()?, run.finish_seconds? * 1e6);
        table.row(vec![
            record.arm.clone(),
            shown(record.median(|run| Some(others(run)?.0))),
            shown(record.median(|run| Some(others(run)?.1))),
            shown(record.median(|run| Some(run.finish_seconds? * 1e6))),
        ]);
    }
    table
}

/// Mean and standard deviation of all calls but one that took so long.
fn others(all: &Latency, last_micros: f64) -> Option<(f64, f64)> {
    let count = all.count as f64;
    if count < 2.0 {
        return None;
    }
    let mean = (all.mean * count - last_micros) / (count - 1.0);
    let squares = (all.stddev.powi(2) + all.mean.powi(2)) * count - last_micros.powi(2);
    Some((mean, (squares / (count - 1.0) - mean.powi(2)).max(0.0).sqrt()))
}

fn figure(latency: &Option<Latency>, at: usize) -> Option<f64> {
    latency.as_ref()?.figures().get(at).copied()
}

fn shown(micros: Option<f64>) -> String {
    micros.map_or("-".to_owned(), show_micros)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tsdb_bench_harness::latency::Latencies;

    use super::*;

    #[test]
    fn without_the_last_call_is_as_if_it_had_not_been_made() {
        let sum_up = |calls: &[u64]| {
            let mut latencies = Latencies::default();
            calls.iter().for_each(|&micros| latencies.record(Duration::from_micros(micros)));
            latencies.take().unwrap()
        };
        let wanted = sum_up(&[3, 9, 30, 4]);
        let (mean, stddev) = others(&sum_up(&[3, 9, 30, 4, 700_000]), 700_000.0).unwrap();
        assert!((mean - wanted.mean).abs() < 1e-3, "{mean}");
        assert!((stddev - wanted.stddev).abs() < 1e-2, "{stddev} of {}", wanted.stddev);
        assert_eq!(others(&sum_up(&[5]), 5.0), None);
    }
}
