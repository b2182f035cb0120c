//! The section of the crate's README.

use std::fmt::Write;

use anyhow::{Context, Result};
use tsdb_bench_harness::table::Table;

use super::{Report, calls, targets};
use crate::bench::{BUF_WRITER, depth, hedgedb, iggy, jitter, neighbour, scan, sequential};
use crate::judge::GoWriter;
use crate::run::{Figure, Record, Run, find, of_bench};

pub(super) const BEGIN: &str = "<!-- bench:begin -->";
pub(super) const END: &str = "<!-- bench:end -->";

const GO: GoWriter = GoWriter::Direct;
const IOPS: calls::Column = ("IOPS", |run| Some(run.calls.as_ref()?.count as f64 / run.seconds), 0);

/// With its markers.
pub(super) fn section(report: &Report) -> String {
    let mut out = format!(
        "{BEGIN}\n{}. Medians of {} runs of each in turn, the final fsync counted; `cargo run \
         --release -p uncached-io-bench -- --dir DIR --size {}` measures it anew.\n",
        report.machine.line(),
        report.repeats,
        report.size
    );
    let producing = writing(report, sequential::PRODUCING);
    let jitter_title = format!(
        "A call as its caller sees it ({}), in microseconds, and somebody else's direct reads of \
         4 KiB meanwhile (\"-\": it was measured without a reader):",
        last_case(report)
    );
    for (title, table) in [
        ("Sequential writes, MiB/s, by the size of the caller's write:", throughput(report)),
        ("With a producer that costs as much as writing:", producing),
        (&jitter_title, calls::table(limited_calls(report), &[], true)),
        (
            "The same without the last call, which makes the file durable, in microseconds:",
            calls::without_the_last(limited_calls(report)),
        ),
        (
            "HedgeDB's synchronous sequential writes of 4 KiB; a call in microseconds:",
            calls::table(hedgedb_case(report, hedgedb::SYNCHRONOUS), &[IOPS], false),
        ),
        (
            "HedgeDB's random writes of 4 KiB by 12 jobs at depth 16; a write in microseconds:",
            calls::table(hedgedb_case(report, hedgedb::RANDOM_WRITES), &[IOPS], false),
        ),
        (iggy_title(report), iggy_calls(report)),
        (
            "HedgeDB's random reads of 4 KiB by four threads, IOPS, by memory limit as a share of \
             the file:",
            reads(report),
        ),
        (
            "A scan, MiB/s, by size of window, a consumer that counts:",
            scans(report, scan::COUNTING),
        ),
        (
            "The same, a consumer that computes as long as reading takes:",
            scans(report, scan::COMPUTING),
        ),
        ("Sequential writes, MiB/s, by size of buffer:", depths(report)),
        ("A neighbour's hot mapped pages in the same memory cgroup:", beside(report)),
        ("What it set out to reach:", targets::table(&report.targets)),
    ] {
        if !table.is_empty() {
            let _ = write!(out, "\n{title}\n\n{}", table.markdown());
        }
    }
    for skipped in &report.skipped {
        let _ = writeln!(out, "\nNot measured: {skipped}");
    }
    out + END + "\n"
}

/// `text` with what stands between the markers replaced by `section`.
pub(super) fn replace(text: &str, section: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("it has no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("it has no {END}"))?;
    Ok(format!("{before}{}{after}", section.trim_end()))
}

fn cell(record: Option<&Record>, value: Figure, digits: usize) -> String {
    record.and_then(|it| it.median(value)).map_or("-".to_owned(), |it| format!("{it:.digits$}"))
}

/// Cases and arms of a bench, each once, in order.
fn names(report: &Report, bench: &str, of: fn(&Record) -> &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for record in of_bench(&report.records, bench) {
        if !names.iter().any(|name| name == of(record)) {
            names.push(of(record).to_owned());
        }
    }
    names
}

/// A row for each arm, a column for each case.
fn matrix(
    report: &Report,
    bench: &str,
    case_wanted: impl Fn(&str) -> bool,
    value: Figure,
) -> Table {
    let mut cases = names(report, bench, |record| &record.case);
    cases.retain(|case| case_wanted(case));
    let short = |case: &String| case.rsplit(", ").next().unwrap_or(case).to_owned();
    let mut table =
        Table::new([String::new()].into_iter().chain(cases.iter().map(short)).collect());
    for arm in names(report, bench, |record| &record.arm) {
        let found = |case: &String| find(&report.records, bench, case, &arm);
        if cases.iter().any(|case| found(case).is_some()) {
            let cells = cases.iter().map(|case| cell(found(case), value, 0));
            table.row([arm.clone()].into_iter().chain(cells).collect());
        }
    }
    table
}

fn throughput(report: &Report) -> Table {
    matrix(report, sequential::NAME, |_| true, |run| Some(run.mib_per_second()))
}

fn reads(report: &Report) -> Table {
    let iops = |run: &Run| Some(run.calls.as_ref()?.count as f64 / run.seconds);
    matrix(report, hedgedb::NAME, |case| case.starts_with(hedgedb::RANDOM_READS), iops)
}

fn scans(report: &Report, consumer: &str) -> Table {
    let rate: Figure = |run| Some(run.mib_per_second());
    matrix(report, scan::NAME, |case| case.starts_with(consumer), rate)
}

/// Of the engine that the crate chose.
fn depths(report: &Report) -> Table {
    let engine = format!("uncached-io {},", report.engine);
    let rate: Figure = |run| Some(run.mib_per_second());
    matrix(report, depth::NAME, |case| case.starts_with(&engine), rate)
}

fn writing(report: &Report, bench: &str) -> Table {
    let heads = ["", "seconds", "caller blocked, s", "CPU, s", "peak page cache, MiB"];
    let mut table = Table::new(heads.map(str::to_owned).to_vec());
    for record in of_bench(&report.records, bench) {
        let record = Some(record);
        table.row(vec![
            record.map_or(String::new(), |record| record.arm.clone()),
            cell(record, |run| Some(run.seconds), 2),
            cell(record, |run| run.blocked_seconds, 3),
            cell(record, |run| run.cpu_seconds, 2),
            cell(record, |run| Some(run.cache_peak_bytes? as f64 / f64::from(1 << 20)), 1),
        ]);
    }
    table
}

/// The last jitter case: with a memory limit, where one could be set.
fn last_case(report: &Report) -> String {
    names(report, jitter::NAME, |record| &record.case).pop().unwrap_or_default()
}

fn limited_calls(report: &Report) -> impl Iterator<Item = &Record> {
    let case = last_case(report);
    let ours = format!("uncached-io {}", report.engine);
    let arms = [ours, "uncached-io dontcache".into(), BUF_WRITER.into(), GO.name().into()];
    arms.into_iter().filter_map(move |arm| find(&report.records, jitter::NAME, &case, &arm))
}

fn hedgedb_case<'a>(report: &'a Report, case: &'a str) -> impl Iterator<Item = &'a Record> {
    of_bench(&report.records, hedgedb::NAME).filter(move |record| record.case == case)
}

fn iggy_calls(report: &Report) -> Table {
    let rate: calls::Column = ("MiB/s", |run| Some(run.mib_per_second()), 1);
    calls::table(of_bench(&report.records, iggy::NAME), &[rate], true)
}

/// Says what an arm did that is no longer measured so.
fn iggy_title(report: &Report) -> &'static str {
    if of_bench(&report.records, iggy::NAME).any(|record| record.arm == iggy::SYNCED_TWICE) {
        "Iggy's ways to persist batches of 50,000 bytes; a batch in microseconds, and somebody \
         else's direct reads meanwhile. Here \"direct, each batch durable\" wrote durably \
         (`RWF_DSYNC`) and synced behind each batch as well, which is once too often; the bench \
         now writes durably and no more:"
    } else {
        "Iggy's ways to persist batches of 50,000 bytes; a batch in microseconds, and somebody \
         else's direct reads meanwhile:"
    }
}

fn beside(report: &Report) -> Table {
    let heads = ["load", "kept, %", "major faults/s", "query p99, us", "idle p99, us"];
    let mut table = Table::new(heads.map(str::to_owned).to_vec());
    for record in of_bench(&report.records, neighbour::NAME) {
        let arm = record.arm.clone();
        let record = Some(record);
        table.row(vec![
            arm,
            cell(record, |run| Some(run.kept_share? * 100.0), 1),
            cell(record, |run| run.faults_per_second, 1),
            cell(record, |run| Some(run.queries.as_ref()?.p99), 0),
            cell(record, |run| Some(run.idle_queries.as_ref()?.p99), 0),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let new = format!("{BEGIN}\nnew\n{END}\n");
        assert_eq!(replace(&text, &new).unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        let error = replace("no markers", &new).unwrap_err();
        assert!(error.to_string().contains(BEGIN), "{error}");
    }
}
