//! One table for each bench.

use tsdb_bench_harness::latency::{FIGURES, Latency};
use tsdb_bench_harness::stats::{Spread, show};
use tsdb_bench_harness::table::Table;

use super::Report;
use crate::bench::{depth, hedgedb, iggy, jitter, neighbour, scan, sequential};
use crate::run::{Figure, Record, Run, of_bench};

/// A column: its head, its value in a run, how many digits.
type Column = (&'static str, Figure, usize);

const MIB: f64 = 1024.0 * 1024.0;

const WRITING: [Column; 7] = [
    ("MiB/s", |run| Some(run.mib_per_second()), 0),
    ("seconds", |run| Some(run.seconds), 3),
    ("caller blocked, s", |run| run.blocked_seconds, 3),
    ("CPU s/GiB", Run::cpu_seconds_per_gib, 3),
    ("peak cache, MiB", |run| Some(run.cache_peak_bytes? as f64 / MIB), 2),
    ("padding, B", |run| Some(run.padding_bytes? as f64), 0),
    ("copied, MiB", |run| Some(run.copied_bytes? as f64 / MIB), 1),
];

const READING: [Column; 5] = [
    ("MiB/s", |run| Some(run.mib_per_second()), 0),
    ("seconds", |run| Some(run.seconds), 3),
    ("consumer blocked, s", |run| run.blocked_seconds, 3),
    ("CPU s/GiB", Run::cpu_seconds_per_gib, 3),
    ("peak cache, MiB", |run| Some(run.cache_peak_bytes? as f64 / MIB), 2),
];

const RATES: [Column; 3] = [
    ("MiB/s", |run| Some(run.mib_per_second()), 1),
    ("IOPS", |run| Some(run.calls.as_ref()?.count as f64 / run.seconds), 0),
    ("hits of the read cache, %", |run| Some(run.hit_share? * 100.0), 1),
];

const BESIDE: [Column; 8] = [
    ("hot pages kept, %", |run| Some(run.kept_share? * 100.0), 1),
    ("major faults/s", |run| run.faults_per_second, 1),
    ("idle", |run| run.idle_faults_per_second, 1),
    ("query p50, us", |run| Some(run.queries.as_ref()?.p50), 0),
    ("p99", |run| Some(run.queries.as_ref()?.p99), 0),
    ("idle p99", |run| Some(run.idle_queries.as_ref()?.p99), 0),
    ("max", |run| Some(run.queries.as_ref()?.max), 0),
    ("load, s", |run| Some(run.seconds), 2),
];

/// Titles and tables of the benches that were run.
pub(super) fn all(report: &Report) -> Vec<(String, Table)> {
    let records = &report.records;
    let calls = |run: &Run| run.calls.clone();
    let reader = |run: &Run| run.reader.clone();
    let part = |bench, case: &'static str| {
        of_bench(records, bench).filter(move |record| record.case.starts_with(case))
    };
    let mut tables = vec![
        ("Sequential writes".to_owned(), figures(of_bench(records, sequential::NAME), &WRITING)),
        (
            "With a producer that costs as much as writing".to_owned(),
            figures(of_bench(records, sequential::PRODUCING), &WRITING),
        ),
        (
            "Jitter: a call as its caller sees it, in microseconds, the last one (which makes the \
             file durable) included"
                .to_owned(),
            latencies(of_bench(records, jitter::NAME), calls),
        ),
        (
            "Jitter: somebody else's direct reads of 4 KiB meanwhile, in microseconds".to_owned(),
            latencies(of_bench(records, jitter::NAME), reader),
        ),
    ];
    for (title, case) in [
        ("HedgeDB: synchronous sequential writes", hedgedb::SYNCHRONOUS),
        ("HedgeDB: random writes", hedgedb::RANDOM_WRITES),
        ("HedgeDB: random reads", hedgedb::RANDOM_READS),
    ] {
        tables.push((title.to_owned(), figures(part(hedgedb::NAME, case), &RATES)));
        let latency = format!("{title}, in microseconds");
        tables.push((latency, latencies(part(hedgedb::NAME, case), calls)));
    }
    tables.push(("Iggy".to_owned(), figures(of_bench(records, iggy::NAME), &WRITING)));
    let title = "Iggy: a batch, in microseconds";
    tables.push((title.to_owned(), latencies(of_bench(records, iggy::NAME), calls)));
    let title = "Iggy: a reader meanwhile, in microseconds";
    tables.push((title.to_owned(), latencies(of_bench(records, iggy::NAME), reader)));
    let title = "A neighbour in the same memory cgroup, whose hot pages are half of its limit";
    tables.push((title.to_owned(), figures(of_bench(records, neighbour::NAME), &BESIDE)));
    let title = "Scans, by size of window and reads under way";
    tables.push((title.to_owned(), figures(of_bench(records, scan::NAME), &READING)));
    let title = "Writes, by size and number of buffers";
    tables.push((title.to_owned(), figures(of_bench(records, depth::NAME), &WRITING)));
    tables.retain(|(_, table)| !table.is_empty());
    tables
}

/// Figures of the records that have any of them.
fn figures<'a>(records: impl Iterator<Item = &'a Record>, columns: &[Column]) -> Table {
    let heads = columns.iter().map(|(head, ..)| (*head).to_owned());
    let mut table =
        Table::new(["case", "arm"].map(str::to_owned).into_iter().chain(heads).collect());
    for record in records {
        let cells = columns.iter().map(|(_, value, digits)| {
            record.spread(value).map_or("-".to_owned(), |spread| show_spread(spread, *digits))
        });
        table.row([record.case.clone(), record.arm.clone()].into_iter().chain(cells).collect());
    }
    table
}

/// A spread of one value is that value.
fn show_spread(spread: Spread, digits: usize) -> String {
    if spread.min == spread.max {
        format!("{:.digits$}", spread.median)
    } else {
        show(spread, digits)
    }
}

/// Distributions: the median over the runs of each figure.
fn latencies<'a>(
    records: impl Iterator<Item = &'a Record>,
    of: impl Fn(&Run) -> Option<Latency>,
) -> Table {
    let heads = FIGURES.map(str::to_owned);
    let mut table =
        Table::new(["case", "arm"].map(str::to_owned).into_iter().chain(heads).collect());
    for record in records {
        let figure = |at: usize| {
            record.median(|run| of(run).and_then(|latency| latency.figures().get(at).copied()))
        };
        let cells: Vec<String> =
            (0..FIGURES.len()).map(|at| figure(at).map_or("-".to_owned(), show_micros)).collect();
        if cells.iter().all(|cell| cell == "-") {
            continue;
        }
        table.row([record.case.clone(), record.arm.clone()].into_iter().chain(cells).collect());
    }
    table
}

/// With digits where they mean something.
pub(super) fn show_micros(micros: f64) -> String {
    if micros < 10.0 { format!("{micros:.2}") } else { format!("{micros:.0}") }
}
