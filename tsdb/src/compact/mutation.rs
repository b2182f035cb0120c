//! Where tests plant faults: one point in each stage. In every other build, nothing.

use std::borrow::Cow;

use tsdb_format::tombstones::Interval;

use super::batch::Batch;
use super::listing::ListedChunk;
use super::reencode::EncodedChunks;
use super::series_entry::IndexedChunk;

/// Faults to be planted; here there are none.
#[derive(Debug, Clone)]
pub(super) struct Mutations;

impl Mutations {
    pub(super) fn none() -> Self {
        Self
    }

    /// A batch has been planned.
    #[inline(always)]
    pub(super) fn plan(&self, _batch: &mut Batch) {}

    /// A chunk of a long series is to be merged: how often it is taken.
    #[inline(always)]
    pub(super) fn feed(&self, _chunk: &mut ListedChunk) -> u32 {
        1
    }

    /// A chunk of these times is to lose what is deleted of it.
    #[inline(always)]
    pub(super) fn trim(&self, _deleted: &mut Vec<Interval>, _times: (i64, i64)) {}

    /// A chunk is no copy of the one before it; true takes it for one.
    #[inline(always)]
    pub(super) fn is_taken_for_copy(&self) -> bool {
        false
    }

    /// A symbol of a source has got this merged id.
    #[inline(always)]
    pub(super) fn map(&self, id: u32) -> u32 {
        id
    }

    /// Chunks have been encoded anew.
    #[inline(always)]
    pub(super) fn reencode(&self, _chunks: &mut EncodedChunks) {}

    /// The output of a batch is ready to be written.
    #[inline(always)]
    pub(super) fn copy(&self, _batch: &mut Batch) {}

    /// A chunk is to be listed.
    #[inline(always)]
    pub(super) fn list(&self, chunk: IndexedChunk, mut add: impl FnMut(IndexedChunk)) {
        add(chunk);
    }

    /// An entry of the index has been encoded.
    #[inline(always)]
    pub(super) fn entry(&self, _entry: &mut [u8]) {}

    /// An entry of the postings offset table has been encoded.
    #[inline(always)]
    pub(super) fn table(&self, _entry: &mut [u8]) {}

    /// A symbol is to be kept.
    #[inline(always)]
    pub(super) fn symbol(&self, _symbol: &mut [u8]) {}

    /// Records are to be handed to the segment.
    #[inline(always)]
    pub(super) fn records<'b>(&self, records: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Borrowed(records)
    }

    /// A series is to be indexed; false drops it.
    #[inline(always)]
    pub(super) fn index(&self) -> bool {
        true
    }

    /// Postings of a series are to be added.
    #[inline(always)]
    pub(super) fn postings<'l>(&self, labels: &'l [u32]) -> &'l [u32] {
        labels
    }
}
