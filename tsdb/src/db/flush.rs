//! From the head into blocks.
//!
//! ```text
//! while the head spans more than 1.5 ranges
//!   wait        for appenders that began before the range was closed to new samples
//!   view        what was committed up to the end of the range
//!   write       a block of it, past the page cache where that is on
//!   load        from here on queries find it in the block, too
//!   truncate    memory, chunk files
//! truncate the write-ahead log, once
//! if there was one: the same for out-of-order samples, one block for each range
//! ```
//!
//! A crash between load and truncate is no loss and no double: the log's samples before the block's
//! end are not replayed. Nothing here waits for a compaction ([`super::yielding`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::meta::Ulid;

use super::error::DbError;
use super::shared::{FlushState, Shared};
use crate::compact::{BuiltBlock, CompactError};
use crate::head::flush::{FlushKind, FlushOptions, flush};
use crate::head::{HeadError, HeadView, OooFlush};
use crate::query::TimeRange;

/// What a flush did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// Blocks made of in-order samples.
    pub blocks: Vec<Ulid>,
    /// Blocks made of out-of-order samples.
    pub out_of_order: Vec<Ulid>,
}

impl Shared {
    /// Flushes what is ready.
    ///
    /// # Errors
    /// A block could not be written or loaded, or the head not truncated. Everything is still in
    /// the head, or in a block, or in both.
    pub(super) fn flush(&self) -> Result<Flushed, DbError> {
        self.check_open()?;
        let mut state = self.lock_flushing();
        let mut flushed = Flushed::default();
        let outcome = self.flush_into(&mut state, &mut flushed);
        drop(state);
        self.tell_flushed();
        if !flushed.blocks.is_empty() || !flushed.out_of_order.is_empty() {
            self.compact_signal.notify();
        }
        outcome.map(|()| flushed)
    }

    fn flush_into(&self, state: &mut FlushState, flushed: &mut Flushed) -> Result<(), DbError> {
        self.finish_truncation(state)?;
        self.truncate_log(state)?;
        if !self.head.is_compactable() && !state.out_of_order_due {
            return Ok(());
        }
        let _under_way = self.gate.enter();
        while self.head.is_compactable() {
            self.check_open()?;
            let mint = self.head.min_time();
            let maxt = range_end(mint, self.options.min_block_duration_ms);
            flushed.blocks.extend(self.flush_range(mint, maxt)?);
            state.out_of_order_due = true;
            state.untruncated = Some(maxt);
            self.finish_truncation(state)?;
        }
        self.truncate_log(state)?;
        self.flush_out_of_order(state, &mut flushed.out_of_order)
    }

    /// What is in a block already must not become a second one.
    fn finish_truncation(&self, state: &mut FlushState) -> Result<(), DbError> {
        if let Some(maxt) = state.untruncated {
            self.counted(self.head.truncate_memory(maxt).map(drop))?;
            (state.untruncated, state.untruncated_log) = (None, Some(maxt));
        }
        if let Some(out_of_order) = &state.untruncated_out_of_order {
            self.counted(self.head.truncate_out_of_order(out_of_order).map(drop))?;
            state.untruncated_out_of_order = None;
        }
        Ok(())
    }

    /// The log lets go of what blocks have: once, however many blocks a run makes, as in Prometheus.
    fn truncate_log(&self, state: &mut FlushState) -> Result<(), DbError> {
        if let Some(maxt) = state.untruncated_log {
            self.counted(self.head.truncate_log(maxt))?;
            state.untruncated_log = None;
        }
        Ok(())
    }

    fn counted(&self, truncated: Result<(), HeadError>) -> Result<(), HeadError> {
        self.metrics.truncations_failed.inc_by(u64::from(truncated.is_err()));
        truncated
    }

    /// The head's part from `mint` to `maxt`, exclusive, as a block; `None` if there is nothing.
    fn flush_range(&self, mint: i64, maxt: i64) -> Result<Option<Ulid>, DbError> {
        let last = maxt.saturating_sub(1);
        self.head.wait_for_appenders(last);
        let view = self.head.view(TimeRange::new(mint, last));
        self.write_block(|| self.flush_view(&view, &self.dir, (mint, maxt), FlushKind::InOrder))
    }

    /// Each range of the out-of-order samples as a block, then they leave the head.
    fn flush_out_of_order(
        &self,
        state: &mut FlushState,
        blocks: &mut Vec<Ulid>,
    ) -> Result<(), DbError> {
        if let Some(out_of_order) = self.head.out_of_order_flush()? {
            let written = self.write_out_of_order(&out_of_order, blocks);
            if written.is_err() {
                // All of it stays in the head, and is written again.
                self.take_back(blocks);
                blocks.clear();
            }
            written?;
            state.untruncated_out_of_order = Some(out_of_order);
            self.finish_truncation(state)?;
        }
        state.out_of_order_due = false;
        Ok(())
    }

    fn write_out_of_order(
        &self,
        out_of_order: &OooFlush,
        blocks: &mut Vec<Ulid>,
    ) -> Result<(), DbError> {
        let range_ms = self.options.min_block_duration_ms;
        let mut mint = range_start(out_of_order.min_time(), range_ms);
        while mint <= out_of_order.max_time() {
            self.check_open()?;
            let maxt = mint.saturating_add(range_ms);
            let view = out_of_order.view();
            let kind = FlushKind::OutOfOrder;
            blocks
                .extend(self.write_block(|| self.flush_view(view, &self.dir, (mint, maxt), kind))?);
            mint = maxt;
        }
        Ok(())
    }

    /// Deletes blocks whose samples the head still has.
    fn take_back(&self, blocks: &[Ulid]) {
        let dirs: Vec<_> = blocks.iter().map(|id| self.dir.join(id.to_string())).collect();
        let dirs: Vec<&Path> = dirs.iter().map(PathBuf::as_path).collect();
        let mut layout = self.lock_layout();
        let outcome = self
            .reload(&mut layout, &blocks.iter().copied().collect())
            .and_then(|_| self.delete_dirs(&dirs));
        if let Err(error) = outcome {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, ?blocks, "blocks of samples that the head has stay behind");
        }
    }

    /// A view's part from the first time to the second, exclusive, as a block in `dest`.
    pub(super) fn flush_view(
        &self,
        view: &HeadView,
        dest: &Path,
        (mint, maxt): (i64, i64),
        kind: FlushKind,
    ) -> Result<Option<BuiltBlock>, CompactError> {
        let options = FlushOptions {
            vfs: Arc::clone(&self.vfs),
            dest,
            mint,
            maxt,
            kind,
            segment_bytes_max: self.options.compact.segment_bytes_max,
            threads: self.options.compact.threads.max(1),
            cancel: &self.cancel,
        };
        let flushed = flush(view, &options)?;
        self.metrics.chunks.add(&flushed.chunk_stats);
        let ledger = flushed.ledger;
        tracing::info!(
            mint,
            maxt,
            samples_in = ledger.samples_in,
            samples_out = ledger.samples_out,
            deleted = ledger.tombstoned,
            out_of_range = ledger.out_of_range,
            "flushed the head"
        );
        Ok(flushed.block)
    }

    /// Writes a block and serves it.
    pub(super) fn write_block(
        &self,
        write: impl FnOnce() -> Result<Option<BuiltBlock>, CompactError>,
    ) -> Result<Option<Ulid>, DbError> {
        let built = self.metrics.compaction(write)?;
        let Some(built) = built else { return Ok(None) };
        let mut layout = self.lock_layout();
        self.load_new(&mut layout, &built.path, built.meta.ulid, &BTreeSet::new())?;
        Ok(Some(built.meta.ulid))
    }
}

/// The end of the range that holds `t`: times before 1970 are cut towards zero, as in Prometheus.
fn range_end(t: i64, range_ms: i64) -> i64 {
    range_start(t, range_ms).saturating_add(range_ms)
}

fn range_start(t: i64, range_ms: i64) -> i64 {
    t / range_ms * range_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_at_multiples_and_are_cut_towards_zero() {
        assert_eq!([0, 1, 99, 100, 250].map(|t| range_end(t, 100)), [100, 100, 100, 200, 300]);
        assert_eq!([-1, -99, -100, -250].map(|t| range_end(t, 100)), [100, 100, 0, -100]);
        assert_eq!(range_end(i64::MAX, 100), i64::MAX);
    }
}
