//! What the crate set out to reach, and what it reached. Only what was measured is judged.

use serde::{Deserialize, Serialize};
use tsdb_bench_harness::table::Table;

use super::Report;
use crate::bench::{BUF_WRITER, jitter, neighbour, sequential};
use crate::fio;
use crate::judge::GoWriter;
use crate::run::{Figure, Record, Run, find, of_bench};

/// One promise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Target {
    /// What is measured, and where.
    pub(crate) what: String,
    /// The bound, with its sense.
    pub(crate) bound: String,
    pub(crate) measured: f64,
    /// The case that was the worst, and what else helps to read the figure.
    pub(crate) note: String,
    pub(crate) met: bool,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Judge<'a> {
    report: &'a Report,
    engine: String,
    targets: Vec<Target>,
}

/// Judges what was measured.
pub(super) fn evaluate(report: &Report) -> Vec<Target> {
    let engine = format!("uncached-io {}", report.engine);
    let mut judge = Judge { report, engine, targets: Vec::new() };
    judge.throughput();
    judge.producing();
    judge.jitter();
    judge.neighbour();
    judge.leftovers();
    judge.targets
}

/// For people.
pub(super) fn table(targets: &[Target]) -> Table {
    let heads = ["target", "bound", "measured", "met", "note"];
    let mut table = Table::new(heads.map(str::to_owned).to_vec());
    for target in targets {
        let met = if target.met { "yes" } else { "**no**" }.to_owned();
        let measured = format!("{:.2}", target.measured);
        let Target { what, bound, note, .. } = target.clone();
        table.row(vec![what, bound, measured, met, note]);
    }
    table
}

impl Judge<'_> {
    fn add(&mut self, what: &str, bound: Bound, measured: Option<f64>, note: impl Into<String>) {
        let Some(measured) = measured.filter(|value| value.is_finite()) else { return };
        let (bound, met) = match bound {
            Bound::AtLeast(least) => (format!(">= {least}"), measured >= least),
            Bound::AtMost(most) => (format!("<= {most}"), measured <= most),
        };
        self.targets.push(Target {
            what: what.to_owned(),
            bound,
            measured,
            note: note.into(),
            met,
        });
    }

    fn record(&self, bench: &str, case: &str, arm: &str) -> Option<&Record> {
        find(&self.report.records, bench, case, arm)
    }

    /// The cases of a bench in which the crate's engine was run.
    fn cases(&self, bench: &str) -> Vec<String> {
        let ours = of_bench(&self.report.records, bench).filter(|it| it.arm == self.engine);
        ours.map(|record| record.case.clone()).collect()
    }

    /// Of a figure of ours and of another arm's the ratio of the medians, where it is the lowest
    /// (or highest), and the case in which it is.
    fn worst(
        &self,
        bench: &str,
        other: &str,
        value: Figure,
        highest: bool,
    ) -> Option<(f64, String)> {
        let ratio = |case: String| {
            let ours = self.record(bench, &case, &self.engine)?.median(value)?;
            let theirs = self.record(bench, &case, other)?.median(value)?;
            Some((ours / theirs, case))
        };
        let ratios = self.cases(bench).into_iter().filter_map(ratio);
        let sign = if highest { -1.0 } else { 1.0 };
        ratios.min_by(|a, b| (a.0 * sign).total_cmp(&(b.0 * sign)))
    }

    fn ratio_target(
        &mut self,
        what: &str,
        bound: Bound,
        (bench, other): (&str, &str),
        value: Figure,
    ) {
        let highest = matches!(bound, Bound::AtMost(_));
        if let Some((measured, case)) = self.worst(bench, other, value, highest) {
            self.add(what, bound, Some(measured), case);
        }
    }

    fn throughput(&mut self) {
        let rate = |run: &Run| Some(run.mib_per_second());
        let fio = |case: fio::Sequential| {
            let record = self.record(sequential::NAME, sequential::DEVICE, &case.name())?;
            Some((record.median(rate)?, case.name()))
        };
        let best = fio::DIRECT.into_iter().filter_map(fio).max_by(|a, b| a.0.total_cmp(&b.0));
        let buffered = fio(fio::BUFFERED);
        let ours = self.cases(sequential::NAME).into_iter().filter_map(|case| {
            let rate = self.record(sequential::NAME, &case, &self.engine)?.median(rate)?;
            Some((rate, case))
        });
        let slowest = ours.min_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some((ours, case)), Some((best, name))) = (&slowest, &best) {
            let note = format!("{case}; {name} wrote {best:.0} MiB/s");
            self.add(
                "throughput, of fio's best direct",
                Bound::AtLeast(0.9),
                Some(ours / best),
                note,
            );
        }
        let writer = self.worst(sequential::NAME, BUF_WRITER, rate, false);
        if let (Some((best, _)), Some((buffered, _)), Some((gain, case))) = (best, buffered, writer)
        {
            let note =
                format!("{case}; {gain:.2} times BufWriter where fio gains {:.2}", best / buffered);
            let what = "throughput, of BufWriter's times fio's gain";
            self.add(what, Bound::AtLeast(0.9), Some(gain / (best / buffered)), note);
        }
        self.ratio_target(
            "CPU per GiB, of BufWriter's (its write-back threads not counted)",
            Bound::AtMost(0.25),
            (sequential::NAME, BUF_WRITER),
            Run::cpu_seconds_per_gib,
        );
        self.ratio_target(
            "throughput, of Go's direct writer",
            Bound::AtLeast(1.0),
            (sequential::NAME, GoWriter::Direct.name()),
            rate,
        );
    }

    fn producing(&mut self) {
        let rate = |run: &Run| Some(run.mib_per_second());
        self.ratio_target(
            "throughput with a producer, of Go's direct writer",
            Bound::AtLeast(1.3),
            (sequential::PRODUCING, GoWriter::Direct.name()),
            rate,
        );
        self.ratio_target(
            "time the caller is blocked, of BufWriter's",
            Bound::AtMost(0.25),
            (sequential::PRODUCING, BUF_WRITER),
            |run| run.blocked_seconds,
        );
        let Some(case) = self.cases(sequential::PRODUCING).pop() else { return };
        let both = |bench| self.record(bench, &case, &self.engine);
        let (Some(with), Some(without)) = (both(sequential::PRODUCING), both(sequential::NAME))
        else {
            return;
        };
        let seconds = |run: &Run| Some(run.seconds);
        let cpu = with.median(|run| run.cpu_seconds).unwrap_or(0.0);
        let io = without.median(seconds).unwrap_or(0.0);
        let measured = with.median(seconds).map(|wall| wall / cpu.max(io));
        let note = format!("CPU {cpu:.2} s, I/O {io:.2} s");
        self.add("wall, of max(CPU, I/O)", Bound::AtMost(1.15), measured, note);
    }

    fn jitter(&mut self) {
        let figures: [(&str, f64, Figure); 4] = [
            ("stddev", 0.25, |run| Some(run.calls.as_ref()?.stddev)),
            ("max", 0.125, |run| Some(run.calls.as_ref()?.max)),
            ("p99.9", 0.2, |run| Some(run.calls.as_ref()?.p999)),
            ("p50", 1.1, |run| Some(run.calls.as_ref()?.p50)),
        ];
        for (name, most, figure) in figures {
            for case in self.cases(jitter::NAME) {
                let median = |arm: &str| {
                    let record = self.record(jitter::NAME, &case, arm)?;
                    record.median(figure)
                };
                let (Some(ours), Some(theirs)) = (median(&self.engine), median(BUF_WRITER)) else {
                    continue;
                };
                let what = format!("jitter, {name}, of BufWriter's");
                let note = format!("{case}; {ours:.0} and {theirs:.0} us");
                self.add(&what, Bound::AtMost(most), Some(ours / theirs), note);
            }
        }
    }

    fn neighbour(&mut self) {
        let pairs = [
            (neighbour::COMPACTION, neighbour::UNCACHED.to_owned(), neighbour::BUFFERED),
            (neighbour::WRITER, self.engine.clone(), BUF_WRITER),
        ];
        for (case, ours, theirs) in pairs {
            let Some(ours) = self.record(neighbour::NAME, case, &ours) else { continue };
            let kept = |run: &Run| Some(run.kept_share? * 100.0);
            let (measured, faults, idle) = (
                ours.median(kept),
                ours.median(|run| run.faults_per_second),
                ours.median(|run| run.idle_faults_per_second),
            );
            let buffered =
                self.record(neighbour::NAME, case, theirs).and_then(|it| it.median(kept));
            let note = buffered.map_or(String::new(), |kept| format!("buffered: {kept:.1} %"));
            let what = format!("hot pages kept {case}, %");
            self.add(&what, Bound::AtLeast(95.0), measured, note);
            let more = faults.zip(idle).map(|(faults, idle)| faults - idle);
            let what = format!("major faults/s {case}, more than idle");
            self.add(&what, Bound::AtMost(1.0), more, "");
        }
    }

    fn leftovers(&mut self) {
        let highest = |value: Figure| {
            let of = |case: String| {
                let record = self.record(sequential::NAME, &case, &self.engine)?;
                Some((record.spread(value)?.max, case))
            };
            self.cases(sequential::NAME)
                .into_iter()
                .filter_map(of)
                .max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let cache = highest(|run| {
            let segments = (run.bytes as f64 / f64::from(512 << 20)).max(1.0);
            Some(run.cache_peak_bytes? as f64 / f64::from(1 << 20) / segments)
        });
        let padding = highest(|run| Some(run.padding_bytes? as f64));
        let copied = self.cases(sequential::NAME).pop().and_then(|case| {
            let record = self.record(sequential::NAME, &case, sequential::OWNED)?;
            Some((record.spread(|run| Some(run.copied_bytes? as f64))?.max, case))
        });
        if let Some((measured, case)) = cache {
            let what = "peak cache added, MiB for each 512 MiB";
            self.add(what, Bound::AtMost(1.0), Some(measured), case);
        }
        if let Some((measured, case)) = padding {
            self.add("padding of a file, bytes", Bound::AtMost(4095.0), Some(measured), case);
        }
        if let Some((measured, case)) = copied {
            let what = "bytes copied of owned, aligned buffers (the end that is no block)";
            self.add(what, Bound::AtMost(4095.0), Some(measured), case);
        }
    }
}
