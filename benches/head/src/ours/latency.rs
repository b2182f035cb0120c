//! How long commits take.

use std::time::{Duration, Instant};

use anyhow::Result;
use tsdb::head::Sample;
use tsdb::query::Labels;
use tsdb_bench_harness::latency::Latencies;

use super::Figures;
use super::fill::Filler;
use super::workload::sample;
use crate::args::Spec;

/// Commits at a steady rate: first while nothing else goes on, then while the database flushes and
/// compacts all the time, because the time of the samples passes so fast.
pub(crate) fn latency(spec: &Spec) -> Result<Figures> {
    let mut filler = Filler::new(spec)?;
    filler.create()?;
    let mut figures = Figures::new();
    let mut pacer = Pacer { filler: &filler, next: 1, series: 0 };
    pacer.run("idle_", &mut figures)?;
    filler.db.set_auto_compaction(true);
    let before = filler.db.blocks().len();
    pacer.run("busy_", &mut figures)?;
    let blocks = filler.db.blocks().len() as f64 - before as f64;
    figures.insert("blocks".to_owned(), blocks);
    figures.insert("last_sample".to_owned(), pacer.next as f64);
    filler.db.close()?;
    Ok(figures)
}

/// Goes on where it stopped.
struct Pacer<'f> {
    filler: &'f Filler<'f>,
    /// Sample of the series.
    next: usize,
    /// With which the next batch begins.
    series: usize,
}

impl Pacer<'_> {
    fn run(&mut self, name: &str, figures: &mut Figures) -> Result<()> {
        let spec = self.filler.spec;
        let (mut commits, mut batches) = (Latencies::default(), Latencies::default());
        let every = Duration::from_secs_f64(1.0 / spec.rate);
        let started = Instant::now();
        let mut number = 0;
        while started.elapsed().as_secs_f64() < spec.seconds {
            let due = started + every * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            number += 1;
            let begun = Instant::now();
            let mut appender = self.filler.db.appender()?;
            let empty = Labels::default();
            for _ in 0..spec.batch {
                let (t, value) = sample(self.series, self.next, spec.step);
                appender.append(self.filler.refs[self.series], &empty, Sample::float(t, value))?;
                self.series += 1;
                if self.series == spec.series {
                    self.series = 0;
                    self.next += 1;
                }
            }
            let filled = Instant::now();
            appender.commit()?;
            commits.record(filled.elapsed());
            batches.record(begun.elapsed());
        }
        for (what, mut latencies) in [("commit", commits), ("batch", batches)] {
            let Some(latency) = latencies.take() else { continue };
            let mut figure = |of: &str, micros: f64| {
                figures.insert(format!("{name}{what}_{of}_us"), micros);
            };
            figure("p50", latency.p50);
            figure("p99", latency.p99);
            figure("p999", latency.p999);
            figure("max", latency.max);
            figures.insert(format!("{name}{what}s"), latency.count as f64);
        }
        Ok(())
    }
}
