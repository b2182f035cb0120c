//! What a replay is doing, and what it did.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::refs::RefTable;
use crate::head::chunk_files::{ChunkFilesRepair, LoadedFiles};
use crate::wal::{Corruption, Repair};

/// What a replay is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReplayPhase {
    /// Reading `chunks_head`.
    #[default]
    ChunkFiles,
    /// Reading the write-ahead log, its checkpoint first.
    Wal,
    /// Reading the write-behind log.
    Wbl,
    /// Nothing more.
    Done,
}

const PHASES: [ReplayPhase; 4] =
    [ReplayPhase::ChunkFiles, ReplayPhase::Wal, ReplayPhase::Wbl, ReplayPhase::Done];

/// Counters of the replay at hand, to be read from any thread.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    phase: AtomicU8,
    first: AtomicU32,
    last: AtomicU32,
    current: AtomicU32,
    records: AtomicU64,
}

impl ReplayProgress {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is being done.
    #[must_use]
    pub fn phase(&self) -> ReplayPhase {
        PHASES.get(usize::from(self.phase.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// The numbers of the log's first segment, of the one that is being read, and of the last one.
    #[must_use]
    pub fn segments(&self) -> (u32, u32, u32) {
        let of = |number: &AtomicU32| number.load(Ordering::Relaxed);
        (of(&self.first), of(&self.current), of(&self.last))
    }

    /// How many records were read so far, of all logs.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self, phase: ReplayPhase, first: u32, last: u32) {
        let phase = PHASES.iter().position(|other| *other == phase).unwrap_or_default();
        self.phase.store(phase as u8, Ordering::Relaxed);
        self.first.store(first, Ordering::Relaxed);
        self.current.store(first, Ordering::Relaxed);
        self.last.store(last, Ordering::Relaxed);
    }

    pub(super) fn at(&self, segment: u32, records: u64) {
        self.current.store(segment, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }
}

/// References to series that no series record named, as Prometheus counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownRefs {
    /// How many different references.
    pub series: u64,
    /// Floats.
    pub samples: u64,
    /// Histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// Metadata.
    pub metadata: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Markers of the write-behind log.
    pub mmap_markers: u64,
}

/// What a replay read, and what became of it. Samples of the write-ahead log are in one of
/// `floats`, `histograms`, `rejected`, `before_min_valid_time`, `in_loaded_chunks` and `unknown`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Series that were made.
    pub series: u64,
    /// Series records whose labels another reference had already.
    pub duplicate_series: u64,
    /// Floats that were appended.
    pub floats: u64,
    /// Histograms that were appended, floats that became stale markers of histograms included.
    pub histograms: u64,
    /// Samples that are not newer than what the series holds: mostly those that came out of order,
    /// which the write-behind log has again.
    pub rejected: u64,
    /// Samples and exemplars that blocks have.
    pub before_min_valid_time: u64,
    /// Samples that chunks of `chunks_head` have.
    pub in_loaded_chunks: u64,
    /// Samples that were inserted out of order.
    pub out_of_order: u64,
    /// Samples of the write-behind log whose time the open chunk had already.
    pub out_of_order_duplicates: u64,
    /// Exemplars that were added.
    pub exemplars: u64,
    /// Deleted intervals that were added.
    pub tombstones: u64,
    /// Metadata that was set.
    pub metadata: u64,
    /// References of the write-ahead log without a series.
    pub unknown: UnknownRefs,
    /// Such of the write-behind log.
    pub unknown_in_wbl: UnknownRefs,
    /// Records of unknown types, or that have no place in their log: passed over.
    pub unknown_records: u64,
    /// Histograms of unknown schemas: passed over.
    pub unknown_schemas: u64,
    /// Records that were read.
    pub records: u64,
    /// Chunks of `chunks_head` that series have now.
    pub loaded_chunks: u64,
    /// Chunks of `chunks_head` whose series no record named: they can't be read.
    pub orphaned_chunks: u64,
    /// Chunks of `chunks_head` that are too old to be of use.
    pub too_old_chunks: u64,
    /// The greatest reference that a series record or a deletion names. 3.15 gives out what is above it,
    /// whatever samples and chunks there are under these references; ours only what is above all.
    pub last_recorded_ref: u64,
    /// Chunks in order that overlap what another reference of the series has. They are kept with
    /// those out of order.
    pub overlapping_chunks: u64,
    /// Markers whose chunk is not there: their samples were inserted again.
    pub markers_without_chunk: u64,
    /// Out-of-order chunks of another reference of their series that a marker names, so that no block
    /// has them yet. 3.15 loses these.
    pub late_chunks_of_other_refs: u64,
    /// Repairs of the logs.
    pub log_repairs: Vec<Repair>,
    /// What of `chunks_head` was set aside.
    pub chunk_files_repair: ChunkFilesRepair,
    /// Where logs were damaged that may not be repaired, because nothing may be changed.
    pub damage: Vec<Corruption>,
}

impl Replayed {
    /// Adds what depends on all logs.
    pub(super) fn finish(&mut self, loaded: &LoadedFiles, refs: &RefTable) {
        self.too_old_chunks = loaded.too_old;
        let orphans = loaded.series_refs().filter(|of| refs.get(*of).is_none());
        self.orphaned_chunks = orphans.map(|of| loaded.of(of).len() as u64).sum();
        if self.orphaned_chunks > 0 || self.unknown.series > 0 || self.unknown_in_wbl.series > 0 {
            tracing::warn!(
                unknown = ?self.unknown,
                unknown_in_wbl = ?self.unknown_in_wbl,
                orphaned_chunks = self.orphaned_chunks,
                "the logs lack series",
            );
        }
    }
}
