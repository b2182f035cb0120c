//! Counters of what went where.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::engine::EngineRefusal;
use crate::latency::LatencyHistogram;
use crate::pace::Pace;
use crate::policy::FallbackReason;

/// What writing one file took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteStats {
    /// Bytes written past the page cache, padding included.
    pub direct_bytes: u64,
    /// Of these, bytes that only filled the last block and were cut off again.
    pub padding_bytes: u64,
    /// Of these, bytes that stood in the file already: the unaligned end that a partial sync or an
    /// earlier writer had left, written again with what followed it. Counted through the page
    /// cache too.
    pub rewritten_bytes: u64,
    /// Bytes written through the page cache.
    pub buffered_bytes: u64,
    /// Of these, bytes that the kernel frees again by itself (`RWF_DONTCACHE`).
    pub dontcache_bytes: u64,
    /// Bytes copied into buffers: what was appended by `write_all`, the ends of owned buffers that
    /// were not a whole number of blocks, and what had to move from one buffer to the next.
    pub copied_bytes: u64,
    /// Write calls.
    pub writes: u64,
    /// Write calls that took less than they were given and were resumed.
    pub short_writes: u64,
    /// Write calls that were interrupted or put off, and repeated.
    pub retries: u64,
    /// How often the caller had to wait for a free buffer.
    pub waits: u64,
    /// For how long in all.
    pub wait_time: Duration,
    /// Why the file was not written past the page cache, if it was not.
    pub fallback: Option<FallbackReason>,
    /// Why it was not written by the engine that was wanted, if it was not: the first of
    /// [`WriteStats::engines_refused`].
    pub engine_refused: Option<EngineRefusal>,
    /// Why each engine that was tried for this file did not write it, in order.
    pub engines_refused: Vec<EngineRefusal>,
}

/// What everything opened through one [`Io`](crate::Io) took so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoStats {
    /// Files finished.
    pub files_finished: u64,
    /// Files created or opened that go through the page cache although uncached I/O was asked for,
    /// and files that turned out to refuse direct reads.
    pub fallbacks: u64,
    /// Bytes written past the page cache, padding included.
    pub write_direct_bytes: u64,
    /// Of these, padding.
    pub write_padding_bytes: u64,
    /// Bytes written through the page cache.
    pub write_buffered_bytes: u64,
    /// Write calls.
    pub writes: u64,
    /// Of finished files, as [`WriteStats::copied_bytes`].
    pub write_copied_bytes: u64,
    /// Of finished files, as [`WriteStats::short_writes`].
    pub short_writes: u64,
    /// Of finished files, as [`WriteStats::retries`].
    pub write_retries: u64,
    /// Of finished files, as [`WriteStats::waits`].
    pub write_waits: u64,
    /// Of finished files, as [`WriteStats::wait_time`].
    pub write_wait_time: Duration,
    /// How long readers and writers waited for
    /// [`IoOptions::bytes_per_second_max`](crate::IoOptions::bytes_per_second_max), in sum.
    pub limit_wait_time: Duration,
    /// Bytes read past the page cache, what was trimmed off included.
    pub read_direct_bytes: u64,
    /// Bytes read through the page cache.
    pub read_buffered_bytes: u64,
    /// Bytes of files read past the page cache that were taken from it all the same, because
    /// they lay there already.
    pub read_from_cache_bytes: u64,
    /// Read calls.
    pub reads: u64,
}

/// The live side of [`IoStats`]. Relaxed: they are sums, nothing is ordered by them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) files_finished: AtomicU64,
    pub(crate) fallbacks: AtomicU64,
    pub(crate) write_direct_bytes: AtomicU64,
    pub(crate) write_padding_bytes: AtomicU64,
    pub(crate) write_buffered_bytes: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) write_copied_bytes: AtomicU64,
    pub(crate) short_writes: AtomicU64,
    pub(crate) write_retries: AtomicU64,
    pub(crate) write_waits: AtomicU64,
    pub(crate) write_wait_nanos: AtomicU64,
    pub(crate) limit_wait_nanos: AtomicU64,
    pub(crate) read_direct_bytes: AtomicU64,
    pub(crate) read_buffered_bytes: AtomicU64,
    pub(crate) read_from_cache_bytes: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Of writes, files that are still being written not counted.
    pub(crate) write_latency: Mutex<LatencyHistogram>,
}

impl Counters {
    pub(crate) fn snapshot(&self) -> IoStats {
        IoStats {
            files_finished: self.files_finished.load(Ordering::Relaxed),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            write_direct_bytes: self.write_direct_bytes.load(Ordering::Relaxed),
            write_padding_bytes: self.write_padding_bytes.load(Ordering::Relaxed),
            write_buffered_bytes: self.write_buffered_bytes.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            write_copied_bytes: self.write_copied_bytes.load(Ordering::Relaxed),
            short_writes: self.short_writes.load(Ordering::Relaxed),
            write_retries: self.write_retries.load(Ordering::Relaxed),
            write_waits: self.write_waits.load(Ordering::Relaxed),
            write_wait_time: Duration::from_nanos(self.write_wait_nanos.load(Ordering::Relaxed)),
            limit_wait_time: Duration::from_nanos(self.limit_wait_nanos.load(Ordering::Relaxed)),
            read_direct_bytes: self.read_direct_bytes.load(Ordering::Relaxed),
            read_buffered_bytes: self.read_buffered_bytes.load(Ordering::Relaxed),
            read_from_cache_bytes: self.read_from_cache_bytes.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
        }
    }
}

impl Counters {
    /// Counts a finished file, and what of it is not counted as it goes.
    pub(crate) fn finished(&self, file: &WriteStats) {
        add(&self.files_finished, 1);
        add(&self.write_copied_bytes, file.copied_bytes);
        add(&self.short_writes, file.short_writes);
        add(&self.write_retries, file.retries);
        add(&self.write_waits, file.waits);
        add(&self.write_wait_nanos, nanos(file.wait_time));
    }

    /// Waits until `pace` lets `bytes` go.
    pub(crate) fn wait_for(&self, pace: &Pace, bytes: usize) {
        let waited = pace.take(bytes);
        if !waited.is_zero() {
            add(&self.limit_wait_nanos, nanos(waited));
        }
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
