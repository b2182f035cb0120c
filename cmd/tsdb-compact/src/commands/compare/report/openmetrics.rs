//! `samples.om`: every sample of every valid run, as if each pair of runs had begun together.
//!
//! ```text
//!  baseline    run 1 |run 2 |run 3 ...       label arm="baseline"
//!  candidate   run 1 |run 2 |run 3 ...       label arm="candidate"
//!              ^ the start of the comparison, then one slot after the other
//! ```
//!
//! The runs were made one after the other; side by side they can be subtracted from each other.
//! Counters go on from run to run. Names are those under which a server or a container would have
//! told the same, so the dashboard shows them.
//! Source: the OpenMetrics specification, 1.0.

use std::fmt::Write;

use super::super::arms::Side;
use super::super::model::{Report, Run};
use super::super::writes::Writes;
use tsdb_bench_harness::cgroup::{MemoryFigures, Stalls};
use tsdb_bench_harness::sample::Sample;

/// Between two slots: so that rates don't mix two runs.
const GAP_SECONDS: f64 = 1.0;

type Value = fn(&Sample) -> Option<f64>;

/// A family of one series an arm, or of one for each value of a label.
struct Family {
    name: &'static str,
    help: &'static str,
    series: &'static [(&'static str, Value)],
}

macro_rules! memory {
    ($field:ident) => {
        |sample| Some(sample.memory?.$field? as f64)
    };
}

const GAUGES: [Family; 10] = [
    gauge("container_memory_cache", "Page cache", &[("", memory!(cache_bytes))]),
    gauge("container_memory_rss", "Anonymous memory", &[("", memory!(rss_bytes))]),
    gauge("container_memory_mapped_file", "Mapped files", &[("", memory!(mapped_file_bytes))]),
    gauge("container_memory_usage_bytes", "All memory", &[("", memory!(usage_bytes))]),
    gauge(
        "container_memory_working_set_bytes",
        "All memory but the page cache that goes first",
        &[("", |sample| {
            sample
                .memory
                .as_ref()
                .and_then(MemoryFigures::working_set_bytes)
                .map(|bytes| bytes as f64)
        })],
    ),
    gauge(
        "container_memory_total_active_file_bytes",
        "Page cache in use",
        &[("", memory!(active_file_bytes))],
    ),
    gauge(
        "container_memory_total_inactive_file_bytes",
        "Page cache that goes first",
        &[("", memory!(inactive_file_bytes))],
    ),
    gauge("container_memory_file_dirty_bytes", "Dirty page cache", &[("", memory!(dirty_bytes))]),
    gauge(
        "container_memory_file_writeback_bytes",
        "Page cache on its way to the disk",
        &[("", memory!(writeback_bytes))],
    ),
    gauge(
        "tsdb_compactor_output_file_pages",
        "Pages of the output by their state in the page cache",
        &[
            ("state=\"cached\"", |sample| Some(pages(sample.output?.cached_bytes))),
            ("state=\"dirty\"", |sample| sample.output?.dirty_bytes.map(pages)),
            ("state=\"writeback\"", |sample| sample.output?.writeback_bytes.map(pages)),
            ("state=\"evicted\"", |sample| sample.output?.evicted_bytes.map(pages)),
            ("state=\"recently_evicted\"", |sample| {
                sample.output?.recently_evicted_bytes.map(pages)
            }),
        ],
    ),
];

const COUNTERS: [Family; 9] = [
    gauge(
        "process_cpu_seconds",
        "CPU time, in and outside of the kernel",
        &[("", |sample| sample.cpu_seconds)],
    ),
    gauge(
        "container_memory_failures",
        "Page faults by kind",
        &[("failure_type=\"pgmajfault\"", memory!(major_faults))],
    ),
    gauge(
        "tsdb_compactor_file_refaults",
        "Pages of files that were evicted and soon wanted again",
        &[("", memory!(refaults))],
    ),
    gauge(
        "tsdb_compactor_process_io_bytes",
        "What the kernel counted of the process's reads and writes",
        &[
            ("kind=\"read_bytes\"", |sample| Some(sample.io?.read_bytes as f64)),
            ("kind=\"write_bytes\"", |sample| Some(sample.io?.write_bytes as f64)),
            ("kind=\"cancelled_write_bytes\"", |sample| {
                Some(sample.io?.cancelled_write_bytes as f64)
            }),
        ],
    ),
    gauge(
        "container_pressure_cpu_waiting_seconds",
        "Time in which some of its processes waited for a core",
        &[("", |sample| Some(sample.pressure?.cpu?.waiting_seconds))],
    ),
    gauge(
        "container_pressure_memory_waiting_seconds",
        "Time in which some of its processes waited for memory",
        &[("", |sample| Some(sample.pressure?.memory?.waiting_seconds))],
    ),
    gauge(
        "container_pressure_memory_stalled_seconds",
        "Time in which all of its processes waited for memory",
        &[("", |sample| stalled(sample.pressure?.memory?))],
    ),
    gauge(
        "container_pressure_io_waiting_seconds",
        "Time in which some of its processes waited for devices",
        &[("", |sample| Some(sample.pressure?.io?.waiting_seconds))],
    ),
    gauge(
        "container_pressure_io_stalled_seconds",
        "Time in which all of its processes waited for devices",
        &[("", |sample| stalled(sample.pressure?.io?))],
    ),
];

const fn gauge(
    name: &'static str,
    help: &'static str,
    series: &'static [(&'static str, Value)],
) -> Family {
    Family { name, help, series }
}

fn pages(bytes: u64) -> f64 {
    (bytes / uncached_io::page_bytes()) as f64
}

fn stalled(stalls: Stalls) -> Option<f64> {
    stalls.stalled_seconds
}

pub(super) fn samples(report: &Report) -> String {
    let mut out = Exposition { slots: Slots::of(report), text: String::new() };
    for family in &GAUGES {
        out.family(family, "gauge", |out, labels, runs, value| {
            out.gauge(family.name, labels, runs, value)
        });
    }
    for family in &COUNTERS {
        out.family(family, "counter", |out, labels, runs, value| {
            out.counter(family.name, labels, runs, value);
        });
    }
    out.compactions();
    out.writes();
    out.modes(report);
    out.text.push_str("# EOF\n");
    out.text
}

/// The valid runs of both arms, and where each begins.
struct Slots<'r> {
    arms: [(Side, Vec<&'r Run>); 2],
    started_unix_seconds: f64,
    slot_seconds: f64,
}

impl<'r> Slots<'r> {
    fn of(report: &'r Report) -> Self {
        let arms = Side::BOTH.map(|side| (side, report.valid_runs(side).collect::<Vec<_>>()));
        let ends = report.runs.iter().filter_map(|run| Some(run.samples.last()?.seconds));
        Self {
            arms,
            started_unix_seconds: report.started_unix_ms as f64 / 1e3,
            slot_seconds: (ends.fold(0.0, f64::max) + GAP_SECONDS).ceil(),
        }
    }

    fn time(&self, run: usize, seconds: f64) -> f64 {
        self.started_unix_seconds + run as f64 * self.slot_seconds + seconds
    }
}

struct Exposition<'r> {
    slots: Slots<'r>,
    text: String,
}

/// A run, by its number within its arm.
type Runs<'a, 'r> = &'a [&'r Run];

impl<'r> Exposition<'r> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.text, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
    }

    fn family(
        &mut self,
        family: &Family,
        kind: &str,
        write: impl Fn(&mut Self, &str, Runs<'_, 'r>, Value),
    ) {
        let before = self.text.len();
        self.head(family.name, kind, family.help);
        let head_end = self.text.len();
        for (side, runs) in self.slots.arms.clone() {
            for (label, value) in family.series {
                write(self, &family.labels(side, label), &runs, *value);
            }
        }
        if self.text.len() == head_end {
            // Nobody could tell.
            self.text.truncate(before);
        }
    }

    fn point(&mut self, name: &str, labels: &str, value: f64, time: f64) {
        let _ = writeln!(self.text, "{name}{{{labels}}} {value} {time:.3}");
    }

    fn gauge(&mut self, name: &str, labels: &str, runs: Runs<'_, 'r>, value: Value) {
        for (number, run) in runs.iter().enumerate() {
            for sample in &run.samples {
                if let Some(value) = value(sample) {
                    let time = self.slots.time(number, sample.seconds);
                    self.point(name, labels, value, time);
                }
            }
        }
    }

    /// Each run goes on where the one before it ended.
    fn counter(&mut self, name: &str, labels: &str, runs: Runs<'_, 'r>, value: Value) {
        let total = format!("{name}_total");
        let mut before = 0.0;
        for (number, run) in runs.iter().enumerate() {
            let mut highest = 0.0_f64;
            for sample in &run.samples {
                // What belongs to the process is gone with it; the count stays.
                let now = value(sample).filter(|now| *now > highest);
                highest = now.unwrap_or(highest);
                if value(&run.ended).is_some() {
                    let time = self.slots.time(number, sample.seconds);
                    self.point(&total, labels, before + highest, time);
                }
            }
            before += highest;
        }
    }

    /// Calls `write` for each sample of each run with the runs that were over by then.
    fn at_ends(&mut self, write: impl Fn(&mut Self, Side, &[&Run], f64)) {
        for (side, runs) in self.slots.arms.clone() {
            for (number, run) in runs.iter().enumerate() {
                for sample in &run.samples {
                    let over = number + usize::from(sample.seconds >= run.wall_seconds);
                    let time = self.slots.time(number, sample.seconds);
                    write(self, side, runs.get(..over).unwrap_or_default(), time);
                }
            }
        }
    }

    fn compactions(&mut self) {
        let name = "prometheus_tsdb_compactions";
        self.head(name, "counter", "Total number of blocks that were written");
        self.made(name);
        let name = "prometheus_tsdb_compactions_failed";
        self.head(name, "counter", "Total number of compactions that failed");
        self.at_ends(|out, side, _, time| {
            out.point(&format!("{name}_total"), &labels(side, ""), 0.0, time);
        });
        let name = "prometheus_tsdb_compaction_duration_seconds";
        self.head(name, "histogram", "Duration of writing a block");
        let bounds: Vec<f64> = (0..14).map(|power| f64::from(1_u32 << power)).collect();
        self.histogram_at_ends(name, |over| {
            let mut served = over.iter().filter_map(|run| run.served.as_ref()?.compactions.clone());
            if let Some(mut sum) = served.next() {
                served.for_each(|more| sum.add(&more));
                return sum;
            }
            let count = |bound: f64| over.iter().filter(|run| run.wall_seconds <= bound).count();
            Writes {
                count: over.len() as u64,
                seconds: over.iter().map(|run| run.wall_seconds).sum(),
                buckets: bounds.iter().map(|bound| (*bound, count(*bound) as u64)).collect(),
            }
        });
    }

    /// Blocks that came to be: one at the end of a merge; those of a server when they were seen.
    fn made(&mut self, name: &str) {
        let name = format!("{name}_total");
        for (side, runs) in self.slots.arms.clone() {
            let mut before = 0;
            for (number, run) in runs.iter().enumerate() {
                let made_by = run.served.as_ref().map(|served| &served.made_by);
                for (at, sample) in run.samples.iter().enumerate() {
                    let made = match made_by {
                        Some(made) => made.get(at).map_or(0, |(_, m)| m.flushes + m.compactions),
                        None => u64::from(sample.seconds >= run.wall_seconds),
                    };
                    let time = self.slots.time(number, sample.seconds);
                    self.point(&name, &labels(side, ""), (before + made) as f64, time);
                }
                before += match &run.served {
                    Some(served) => served.made.flushes + served.made.compactions,
                    None => 1,
                };
            }
        }
    }

    fn writes(&mut self) {
        let mut runs = self.slots.arms.iter().flat_map(|(_, runs)| runs);
        if !runs.any(|run| run.writes.is_some()) {
            return;
        }
        let name = "tsdb_compactor_chunk_write_duration_seconds";
        self.head(name, "histogram", "Duration of write calls");
        let template = self.slots.arms.iter().flat_map(|(_, runs)| runs);
        let bounds = template.filter_map(|run| run.writes.as_ref()).map(|writes| &writes.buckets);
        let empty: Vec<(f64, u64)> =
            bounds.take(1).flatten().map(|(bound, _)| (*bound, 0)).collect();
        self.histogram_at_ends(name, |over| {
            let mut sum = Writes { count: 0, seconds: 0.0, buckets: empty.clone() };
            over.iter().filter_map(|run| run.writes.as_ref()).for_each(|writes| sum.add(writes));
            sum
        });
    }

    /// A family's series stand together: all of one arm, then all of the other.
    fn histogram_at_ends(&mut self, name: &str, of: impl Fn(&[&Run]) -> Writes) {
        self.at_ends(|out, side, over, time| {
            let Writes { count, seconds, buckets } = of(over);
            let last = (f64::INFINITY, count);
            for (bound, count) in buckets.into_iter().chain([last]) {
                let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
                let labels = labels(side, &format!("le=\"{bound}\""));
                out.point(&format!("{name}_bucket"), &labels, count as f64, time);
            }
            out.point(&format!("{name}_count"), &labels(side, ""), count as f64, time);
            out.point(&format!("{name}_sum"), &labels(side, ""), seconds, time);
        });
    }

    /// What the arms promise, and that they kept it: others are not valid.
    fn modes(&mut self, report: &Report) {
        let name = "tsdb_compactor_uncached_io_enabled";
        self.head(name, "gauge", "1 if files are written and read past the page cache");
        self.at_ends(|out, side, _, time| {
            if let Some(direct) = report.direct(side) {
                out.point(name, &labels(side, ""), f64::from(u8::from(direct)), time);
            }
        });
        let name = "tsdb_compactor_direct_io_fallbacks";
        self.head(
            name,
            "counter",
            "Files that go through the page cache although they were not to",
        );
        self.at_ends(|out, side, _, time| {
            // A server that could not keep its promise would not have started.
            if report.direct(side).is_some() {
                let labels = labels(side, "reason=\"file\"");
                out.point(&format!("{name}_total"), &labels, 0.0, time);
            }
        });
        let name = "prometheus_build_info";
        self.head(name, "gauge", "1, by the version of the program");
        self.at_ends(|out, side, _, time| {
            let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
            out.point(name, &labels(side, &version), 1.0, time);
        });
    }
}

impl Family {
    /// Those of cAdvisor name a pod and a container.
    fn labels(&self, side: Side, more: &str) -> String {
        let mut labels = labels(side, more);
        if self.name.starts_with("container_") {
            let pod = side.name();
            let _ = write!(
                labels,
                ",container=\"tsdb-compact\",namespace=\"compare\",pod=\"compare-{pod}\""
            );
        }
        labels
    }
}

fn labels(side: Side, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!("arm=\"{}\",instance=\"compare\",job=\"tsdb-compact\"{comma}{more}", side.name())
}
