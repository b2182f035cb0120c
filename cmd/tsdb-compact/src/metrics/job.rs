//! Ours: how the job at hand writes, how far it is, and what of its output lies in the page cache.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use tsdb::compact::Progress;
use tsdb::vfs::{Io, Mode};
use tsdb_bench_harness::sample::OutputPages;
use uncached_io::{LatencyHistogram, ProcessIo, page_bytes};

use super::teller::Teller;

/// Upper bounds of the durations of writes: 10 us x 1.5^32, up to some 3 s.
const WRITE_BOUNDS: u32 = 32;
const WRITE_BOUND_FIRST_SECONDS: f64 = 1e-5;
const WRITE_BOUND_FACTOR: f64 = 1.5;

/// The blocks that were written so far. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs(Arc<Mutex<Vec<PathBuf>>>);

impl Outputs {
    pub(super) fn add(&self, block: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }

    /// Pages of all of them in the page cache; none if there are no blocks, or nobody can tell.
    fn pages(&self) -> Option<OutputPages> {
        let blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pages = blocks.iter().filter_map(|block| OutputPages::below(block));
        let mut sum = pages.next()?;
        pages.for_each(|more| sum.add(&more));
        Some(sum)
    }
}

/// Reads the state of the job.
pub(super) struct JobCollector {
    io: Io,
    progress: Arc<Progress>,
    outputs: Outputs,
    begun: Instant,
}

impl JobCollector {
    pub(super) fn new(io: Io, progress: Arc<Progress>, outputs: Outputs) -> Self {
        Self { io, progress, outputs, begun: Instant::now() }
    }

    /// The value of the label `mode` of all of these.
    pub(super) fn mode(&self) -> &'static str {
        if self.io.mode().is_direct() { "uncached" } else { "buffered" }
    }

    fn tell_io(&self, told: &mut Teller<'_>) -> fmt::Result {
        let mode = self.io.mode();
        let help = "1 if files are written and read past the page cache";
        let enabled = f64::from(u8::from(mode.is_direct()));
        told.gauge("tsdb_compactor_uncached_io_enabled", help, enabled)?;
        if let Mode::Direct(alignment) = mode {
            let help = "What direct I/O has to be a multiple of";
            let kinds = [
                ("memory", alignment.mem_align as f64),
                ("offset", alignment.offset_align as f64),
                ("read_offset", alignment.read_offset_align as f64),
            ];
            told.gauges_by("tsdb_compactor_direct_io_alignment_bytes", help, "kind", &kinds)?;
        }
        let stats = self.io.stats();
        let help = "Bytes written to chunk files and indexes";
        let bytes = (stats.write_direct_bytes + stats.write_buffered_bytes) as f64;
        told.counter("tsdb_compactor_chunk_write_bytes", help, bytes)?;
        let help = "Write calls for chunk files and indexes";
        told.counter("tsdb_compactor_chunk_writes", help, stats.writes as f64)?;
        let help = "Of the bytes written, those that only filled a block and were cut off again";
        told.counter("tsdb_compactor_padding_bytes", help, stats.write_padding_bytes as f64)?;
        let help = "Files that go through the page cache although they were not to";
        let reason = mode.fallback_reason().map_or("file", |reason| reason.name());
        let fallbacks = [(reason, stats.fallbacks as f64)];
        told.counters_by("tsdb_compactor_direct_io_fallbacks", help, "reason", &fallbacks)?;
        let help = "Duration of write calls, of files that are finished";
        let latency = self.io.write_latency();
        let sum = latency.sum().as_secs_f64();
        let buckets = write_buckets(&latency);
        told.histogram("tsdb_compactor_chunk_write_duration_seconds", help, sum, &buckets)
    }

    fn tell_progress(&self, told: &mut Teller<'_>) -> fmt::Result {
        let (done, planned) = (self.progress.done_bytes(), self.progress.planned_bytes());
        let help = "Bytes of source chunks that the compaction at hand will read";
        told.gauge("tsdb_compactor_job_planned_bytes", help, planned as f64)?;
        let help = "Bytes of source chunks that the compaction at hand has read";
        told.gauge("tsdb_compactor_job_done_bytes", help, done as f64)?;
        let Some(seconds) = left_seconds(done, planned, self.begun.elapsed()) else {
            return Ok(());
        };
        let help = "Seconds that the compaction at hand will take, as far as one can tell";
        told.gauge("tsdb_compactor_job_eta_seconds", help, seconds)
    }

    fn tell_pages(&self, told: &mut Teller<'_>) -> fmt::Result {
        let Some(pages) = self.outputs.pages() else { return Ok(()) };
        let states = [
            ("cached", Some(pages.cached_bytes)),
            ("dirty", pages.dirty_bytes),
            ("writeback", pages.writeback_bytes),
            ("evicted", pages.evicted_bytes),
            ("recently_evicted", pages.recently_evicted_bytes),
        ];
        let known = states
            .iter()
            .filter_map(|(state, bytes)| Some((*state, (*bytes)? as f64 / page_bytes() as f64)));
        let known: Vec<_> = known.collect();
        let help = "Pages of the blocks that were written, by their state in the page cache";
        told.gauges_by("tsdb_compactor_output_file_pages", help, "state", &known)
    }
}

fn tell_process_io(told: &mut Teller<'_>) -> fmt::Result {
    let Ok(io) = ProcessIo::now() else { return Ok(()) };
    let kinds = [
        ("rchar", io.rchar as f64),
        ("wchar", io.wchar as f64),
        ("read_bytes", io.read_bytes as f64),
        ("write_bytes", io.write_bytes as f64),
        ("cancelled_write_bytes", io.cancelled_write_bytes as f64),
    ];
    let help = "What the kernel counted of this process's reads and writes";
    told.counters_by("tsdb_compactor_process_io_bytes", help, "kind", &kinds)
}

impl fmt::Debug for JobCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JobCollector")
    }
}

impl Collector for JobCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut told = Teller::new(encoder);
        self.tell_io(&mut told)?;
        self.tell_progress(&mut told)?;
        self.tell_pages(&mut told)?;
        tell_process_io(&mut told)
    }
}

/// At the rate so far; none before there is one, and none for what is done.
fn left_seconds(done: u64, planned: u64, elapsed: Duration) -> Option<f64> {
    let left = planned.checked_sub(done).filter(|left| *left > 0 && done > 0)?;
    Some(elapsed.as_secs_f64() / done as f64 * left as f64)
}

/// Not cumulative; the last has no bound.
fn write_buckets(latency: &LatencyHistogram) -> Vec<(f64, u64)> {
    let bounds = std::iter::successors(Some(WRITE_BOUND_FIRST_SECONDS), |bound| {
        Some(bound * WRITE_BOUND_FACTOR)
    });
    let mut below = 0;
    let mut buckets = Vec::new();
    for bound in bounds.take(WRITE_BOUNDS as usize) {
        let count = latency.count_at_most(Duration::from_secs_f64(bound));
        buckets.push((bound, count.saturating_sub(below)));
        below = below.max(count);
    }
    buckets.push((f64::INFINITY, latency.count().saturating_sub(below)));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done() {
        let ten = Duration::from_secs(10);
        assert_eq!(left_seconds(25, 100, ten), Some(30.0));
        assert_eq!(left_seconds(0, 100, ten), None);
        assert_eq!(left_seconds(100, 100, ten), None);
        assert_eq!(left_seconds(1, 0, ten), None);
    }

    #[test]
    fn every_write_is_in_one_bucket() {
        let mut latency = LatencyHistogram::new();
        for micros in [1, 10, 100, 5000, 10_000_000] {
            latency.record(Duration::from_micros(micros));
        }
        let buckets = write_buckets(&latency);
        assert_eq!((buckets.len(), buckets[0].1, buckets[32].1), (33, 2, 1));
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 5);
    }
}
