//! The memory budget, divided among the stages in this one place.
//!
//! | stage | share | past it |
//! |---|---|---|
//! | merged symbol strings | 1/12 | spilled |
//! | symbol maps | 1/6 | Elias-Fano form, then an error that says what would do |
//! | index windows of the sources | 1/12 | smaller windows, at least 4 KiB a source |
//! | series entries of the sources | in the windows' share | chunk lists and deleted intervals that are longer are read twice, through a window |
//! | batches: fetched chunks and re-encoded ones | 7/24 | fewer and smaller batches |
//! | overlapping chunks of one series | 1/4 of the batches | streamed: read as the merge needs them, written piece by piece |
//! | such chunks in one overlapping group, 16 bytes for each | 3/4 of the batches | an error that says what would do, before anything is written |
//! | chunk segment writer | 1/12 | |
//! | index writer and its spills | 1/24 | the entry of a long series is spilled |
//! | postings | 1/6 | spilled in sorted runs |
//! | postings offset table | 1/24 | spilled |
//! | tombstones of all sources | 1/24 | sorted in runs, spilled |
//! | sorting tombstones, before all else begins | 1/3 | more runs |
//!
//! There is one worker for each 3 MiB of the budget at most (16 for the default), whatever the number
//! of cores, since each has memory of its own: a stack, what it decodes into, the allocator's arena.
//!
//! Stacks, code and the allocator's slack are not part of the budget; the bound on the whole
//! process (64 MiB for the default budget) is that of the cgroup test.

use super::error::{BudgetedPart, CompactError};
use super::series::CursorWindows;

/// What a compaction takes if nothing else is said: 48 MiB.
pub const MEMORY_BUDGET_BYTES: u64 = 48 << 20;
/// The least that any compaction works with.
pub const MEMORY_BUDGET_BYTES_MIN: u64 = 8 << 20;

/// The shares of one compaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub(super) symbol_store_bytes: usize,
    pub(super) symbol_maps_bytes: u64,
    /// Each source's window, in bytes.
    pub(super) source_window_bytes: usize,
    /// The longest series entry that is decoded whole, in bytes.
    pub(super) entry_bytes_max: usize,
    /// How many threads copy and re-encode.
    pub(super) workers: usize,
    /// Memory of one batch.
    pub(super) batch_bytes: usize,
    /// How many batches are under way at a time.
    pub(super) batches: usize,
    /// Memory of all batches that are under way.
    pub(super) batches_bytes: u64,
    /// What a series may take that is merged in one piece.
    pub(super) series_bytes_max: u64,
    pub(super) long: LongShares,
    pub(super) segment_buffer_bytes: usize,
    pub(super) index_buffer_bytes: usize,
    pub(super) postings_bytes: usize,
    pub(super) table_bytes: usize,
    /// Bytes of tombstones files that are held in memory.
    pub(super) tombstone_bytes: u64,
    /// Memory in which larger ones are sorted.
    pub(super) sort_bytes: usize,
}

/// What streaming a long series may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct LongShares {
    /// Each window of a chunk list.
    pub(super) list_bytes: usize,
    /// Each window of chunks.
    pub(super) chunk_bytes: usize,
    /// Output that is handed on at a time.
    pub(super) piece_bytes: usize,
    /// How many chunks may overlap, directly or through others.
    pub(super) group_chunks_max: u64,
    /// All windows and pieces together.
    pub(super) fixed_bytes: u64,
}

impl LongShares {
    /// What a series of `chunks` chunks takes.
    pub(super) fn weight_bytes(&self, chunks: u64, plain: bool) -> u64 {
        let group = if plain { 0 } else { chunks.min(self.group_chunks_max) };
        self.fixed_bytes + group * GROUP_CHUNK_BYTES
    }

    /// The error of a group of `chunks` overlapping chunks, more than its share holds.
    pub(super) fn refuse_group(&self, chunks: u64) -> CompactError {
        let what = BudgetedPart::OverlappingChunks;
        let need_bytes = chunks * GROUP_CHUNK_BYTES;
        let share_bytes = self.group_chunks_max * GROUP_CHUNK_BYTES;
        let least_bytes = (need_bytes.div_ceil(3) * 4).div_ceil(BATCHES_PARTS) * PARTS;
        CompactError::budget(what, need_bytes, share_bytes, least_bytes + PARTS * GROUP_CHUNK_BYTES)
    }
}

/// Batches get this many 24ths of the budget.
const BATCHES_PARTS: u64 = 7;
const PARTS: u64 = 24;
/// A group's chunk: its time, its place in the heap, its state.
pub(super) const GROUP_CHUNK_BYTES: u64 = 8 + 4 + 4;
/// What the buffer of a short run takes.
const RUN_BUFFER_BYTES: usize = 4 << 10;
/// What a worker takes of the budget at least, with what it has beside its batches.
const WORKER_BYTES: u64 = 3 << 20;
/// How much of the budget the symbol maps get: one part in this many.
const SYMBOL_MAPS_PART: u64 = 6;

impl Shares {
    /// Divides `budget_bytes` for a compaction of `sources` blocks by up to `threads` workers.
    pub(super) fn divide(budget_bytes: u64, sources: usize, threads: usize) -> Self {
        let budget_bytes = budget_bytes.max(MEMORY_BUDGET_BYTES_MIN);
        let workers_max = usize::try_from(budget_bytes / WORKER_BYTES).unwrap_or(usize::MAX);
        let workers = threads.clamp(1, workers_max);
        let part = |n: u64| usize::try_from(budget_bytes / n).unwrap_or(usize::MAX);
        let batches_bytes = budget_bytes / PARTS * BATCHES_PARTS;
        let of_batches = |n: usize| usize::try_from(batches_bytes).unwrap_or(usize::MAX) / n;
        // One batch in the hands of each worker, as many planned or waiting to be written.
        // With many sources a batch fetches many small runs, each into a buffer of its own: then
        // there are fewer batches, as many as keep those buffers within their share.
        let run_buffers_bytes = sources * RUN_BUFFER_BYTES;
        let batches = (2 * workers + 2).min(of_batches(run_buffers_bytes.max(1)).max(2));
        let window_bytes = (part(12) / sources.max(1)).clamp(4 << 10, 512 << 10) & !4095;
        // Each source of a long series has four windows: two of its list, two of its chunks.
        let long_window = (of_batches(8) / (4 * sources.max(1))).clamp(4 << 10, 256 << 10) & !4095;
        let piece_bytes = of_batches(32).clamp(16 << 10, 512 << 10);
        let long = LongShares {
            list_bytes: long_window.min(32 << 10),
            chunk_bytes: long_window,
            piece_bytes,
            group_chunks_max: batches_bytes / 4 * 3 / GROUP_CHUNK_BYTES,
            fixed_bytes: (4 * long_window * sources + 4 * piece_bytes) as u64,
        };
        Self {
            symbol_store_bytes: part(12),
            symbol_maps_bytes: budget_bytes / SYMBOL_MAPS_PART,
            source_window_bytes: window_bytes,
            // Decoded, it takes three times as much again.
            entry_bytes_max: part(12) / sources.max(1) / 8,
            workers,
            batch_bytes: of_batches(batches).clamp(64 << 10, 4 << 20),
            batches,
            batches_bytes,
            series_bytes_max: batches_bytes / 4,
            long,
            segment_buffer_bytes: part(12).clamp(256 << 10, 8 << 20),
            index_buffer_bytes: part(24).clamp(128 << 10, 4 << 20),
            postings_bytes: part(6),
            table_bytes: part(24),
            tombstone_bytes: budget_bytes / PARTS,
            sort_bytes: part(3),
        }
    }

    /// How each source's series are read.
    pub(super) fn cursor_windows(&self) -> CursorWindows {
        let (index_bytes, entry_bytes_max) = (self.source_window_bytes, self.entry_bytes_max);
        CursorWindows { index_bytes, entry_bytes_max }
    }

    /// Bytes that a merge of `sources` blocks takes whatever their size.
    pub(super) fn fixed_bytes(&self, sources: usize) -> u64 {
        let windows = self.source_window_bytes * sources;
        let buffers = self.segment_buffer_bytes + self.index_buffer_bytes;
        (windows + buffers + self.postings_bytes + self.table_bytes) as u64
            + self.batches_bytes.max((self.batch_bytes * self.batches) as u64)
            + self.symbol_maps_bytes
    }

    /// The least budget under which `file_bytes` of tombstones are held in memory.
    pub(super) fn budget_for_tombstones(file_bytes: u64) -> u64 {
        file_bytes.saturating_mul(PARTS)
    }

    /// The least budget under which the symbol maps could take `need_bytes`.
    pub(super) fn budget_for_symbol_maps(need_bytes: u64) -> u64 {
        need_bytes * SYMBOL_MAPS_PART
    }
}
