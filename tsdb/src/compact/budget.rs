//! The memory budget, divided among the stages in this one place.
//!
//! | stage | share | past it |
//! |---|---|---|
//! | merged symbol strings | 1/12 | spilled |
//! | symbol maps | 1/6 | Elias-Fano form, then an error that says what would do |
//! | index windows of the sources | 1/12 | smaller windows, at least 4 KiB a source |
//! | batches: fetched chunks and re-encoded ones | 1/3 | fewer and smaller batches |
//! | chunk segment writer | 1/12 | |
//! | index writer and its spills | 1/24 | |
//! | postings | 1/6 | spilled in sorted runs |
//! | postings offset table | 1/24 | spilled |
//!
//! Stacks, code and the allocator's slack are not part of the budget; the bound on the whole
//! process (64 MiB for the default budget) is that of the cgroup test.

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
    /// Chunk bytes of one batch.
    pub(super) batch_bytes: usize,
    /// How many batches are under way at a time.
    pub(super) batches: usize,
    pub(super) segment_buffer_bytes: usize,
    pub(super) index_buffer_bytes: usize,
    pub(super) postings_bytes: usize,
    pub(super) table_bytes: usize,
}

/// What the buffer of a short run takes.
const RUN_BUFFER_BYTES: usize = 4 << 10;
/// How much of the budget the symbol maps get: one part in this many.
const SYMBOL_MAPS_PART: u64 = 6;

impl Shares {
    /// Divides `budget_bytes` for a compaction of `sources` blocks by `threads` workers.
    pub(super) fn divide(budget_bytes: u64, sources: usize, threads: usize) -> Self {
        let budget_bytes = budget_bytes.max(MEMORY_BUDGET_BYTES_MIN);
        let part = |n: u64| usize::try_from(budget_bytes / n).unwrap_or(usize::MAX);
        // One batch in the hands of each worker, as many planned or waiting to be written.
        // With many sources a batch fetches many small runs, each into a buffer of its own: then
        // there are fewer batches, as many as keep those buffers within their share.
        let run_buffers_bytes = sources * RUN_BUFFER_BYTES;
        let batches = (2 * threads + 2).min((part(3) / run_buffers_bytes.max(1)).max(2));
        let source_window_bytes = (part(12) / sources.max(1)).clamp(4 << 10, 512 << 10);
        Self {
            symbol_store_bytes: part(12),
            symbol_maps_bytes: budget_bytes / SYMBOL_MAPS_PART,
            source_window_bytes: source_window_bytes & !4095,
            batch_bytes: (part(3) / batches).clamp(64 << 10, 4 << 20),
            batches,
            segment_buffer_bytes: part(12).clamp(256 << 10, 8 << 20),
            index_buffer_bytes: part(24).clamp(128 << 10, 4 << 20),
            postings_bytes: part(6),
            table_bytes: part(24),
        }
    }

    /// Bytes that a merge of `sources` blocks takes whatever their size.
    pub(super) fn fixed_bytes(&self, sources: usize) -> u64 {
        let windows = self.source_window_bytes * sources;
        let batches = self.batch_bytes * self.batches;
        let buffers = self.segment_buffer_bytes + self.index_buffer_bytes;
        (windows + batches + buffers + self.postings_bytes + self.table_bytes) as u64
            + self.symbol_maps_bytes
    }

    /// The least budget under which the symbol maps could take `need_bytes`.
    pub(super) fn budget_for_symbol_maps(need_bytes: u64) -> u64 {
        need_bytes * SYMBOL_MAPS_PART
    }
}
