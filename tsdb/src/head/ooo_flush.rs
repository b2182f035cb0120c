//! Flushing what came out of order: a frozen view of it, and what goes once a block has it.
//!
//! ```text
//!   out_of_order_flush:      WBL begins a segment; every open chunk is written to a file
//!                            last_ref: the newest chunk of all     segment: the new one
//!   blocks are made of the chunks up to last_ref; what comes meanwhile is behind it
//!   truncate_out_of_order:   chunks up to last_ref go, and WBL segments before the new one
//! ```
//!
//! Source: Prometheus 3.15, `NewOOOCompactionHead` in `tsdb/ooo_head_read.go` and `truncateOOO` in
//! `tsdb/head.go`.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use tsdb_format::record::HeadChunkRef;

use super::error::HeadError;
use super::head::Head;
use super::ooo::OooScratch;
use super::page::PAGE_SLOTS;
use super::shared::Shared;
use super::truncate::Truncated;
use super::view::HeadView;
use crate::query::TimeRange;

/// What blocks are to be made of.
#[derive(Debug)]
pub struct OooFlush {
    view: HeadView,
    min_time: i64,
    max_time: i64,
    last_ref: HeadChunkRef,
    segment: u32,
}

impl OooFlush {
    /// The head with no other out-of-order chunks than those that are flushed.
    #[must_use]
    pub fn view(&self) -> &HeadView {
        &self.view
    }

    /// The time of the oldest sample, in milliseconds.
    #[must_use]
    pub fn min_time(&self) -> i64 {
        self.min_time
    }

    /// The time of the newest sample, in milliseconds.
    #[must_use]
    pub fn max_time(&self) -> i64 {
        self.max_time
    }
}

impl Head {
    /// Writes what came out of order to `chunks_head`, and hands it out to be made blocks of. `None`:
    /// nothing came.
    ///
    /// # Errors
    /// An effect failed. What is in memory stays there.
    pub fn out_of_order_flush(&self) -> Result<Option<OooFlush>, HeadError> {
        let shared = self.shared();
        shared.mend_late_log();
        let wbl = shared.wbl();
        let Some(wbl) = &*wbl else { return Ok(None) };
        let segment = wbl.next_segment()?;
        let Some(last_ref) = shared.write_open_late_chunks()? else {
            wbl.truncate(segment)?;
            return Ok(None);
        };
        let (min_time, max_time) = shared.late_times(last_ref);
        let view = HeadView::with_late_up_to(shared.clone(), TimeRange::ALL, last_ref);
        Ok(Some(OooFlush { view, min_time, max_time, last_ref, segment }))
    }

    /// Drops what was flushed: blocks stand for it. Views that are open keep what they see.
    ///
    /// # Errors
    /// An effect failed. Memory is truncated even so.
    pub fn truncate_out_of_order(&self, flush: &OooFlush) -> Result<Truncated, HeadError> {
        let shared = self.shared();
        let truncated = shared.truncate_late(flush.last_ref, flush.view.id())?;
        if let Some(wbl) = &*shared.wbl() {
            wbl.truncate(flush.segment)?;
        }
        Ok(truncated)
    }
}

impl Shared {
    /// Writes all open out-of-order chunks: the newest chunk.
    fn write_open_late_chunks(&self) -> Result<Option<HeadChunkRef>, HeadError> {
        let mut scratch = OooScratch::default();
        let mut newest = None;
        for (first, page) in self.directory().pages() {
            let mut inner = page.lock();
            for slot in first..first + PAGE_SLOTS as u32 {
                let cold = inner.cold_mut(slot);
                let series_ref = cold.series_ref.into();
                let Some(late) = &mut cold.out_of_order else { continue };
                late.write_open(series_ref, &mut self.ooo_writer(&mut scratch))?;
                // It was counted once, and may have become several.
                let more = scratch.refs.len().saturating_sub(1);
                self.counters.chunks_created.add(more as i64);
                newest = newest.max(late.chunks().last().map(|chunk| chunk.chunk_ref));
            }
        }
        Ok(newest)
    }

    /// Times of the oldest and the newest sample in out-of-order chunks up to `last_ref`. Asked for
    /// once that is known: commits may have written chunks in front of it meanwhile.
    fn late_times(&self, last_ref: HeadChunkRef) -> (i64, i64) {
        let (mut min_time, mut max_time) = (i64::MAX, i64::MIN);
        for (first, page) in self.directory().pages() {
            let inner = page.lock();
            for slot in first..first + PAGE_SLOTS as u32 {
                let chunks = inner.cold(slot).out_of_order.iter().flat_map(|late| late.chunks());
                for chunk in chunks.filter(|chunk| chunk.chunk_ref <= last_ref) {
                    min_time = min_time.min(chunk.min_time);
                    max_time = max_time.max(chunk.max_time);
                }
            }
        }
        (min_time, max_time)
    }

    /// Drops out-of-order chunks up to `last_ref`. View number `except` does not need them any more.
    fn truncate_late(&self, last_ref: HeadChunkRef, except: u64) -> Result<Truncated, HeadError> {
        let mut todo = self.collection.lock().unwrap_or_else(PoisonError::into_inner);
        // From here on nobody begins to read them.
        self.late_truncated.fetch_max(last_ref.get(), Ordering::AcqRel);
        todo.truncate_late(last_ref, self.registry.mark());
        self.collect_counted(&mut todo, except)
    }
}
