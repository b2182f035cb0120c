//! What a replay needs of the head that it fills.

use tsdb_format::chunkenc::{FloatHistogram, Histogram, ValueType};
use tsdb_format::record::{Exemplar, HeadSeriesRef, LabelPairs, MetadataEntry};
use tsdb_format::tombstones::Interval;

use crate::head::chunk_files::LoadedChunk;
use crate::head::sample::SampleValue;

/// Series that share a lock.
pub(super) const PAGE_SLOTS: u32 = 256;

/// A series that a record named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Created {
    /// Its dense number.
    pub(crate) slot: u32,
    /// It was not there before.
    pub(crate) is_new: bool,
}

/// A head that is being filled. One thread makes series and whatever stands apart from samples;
/// each page is filled by one thread of its own.
pub(crate) trait ReplayHead: Sync {
    /// Why something can't be taken.
    type Error: std::error::Error + Send + 'static;
    /// A page whose lock is held, and the memory of who fills it.
    type Page<'h>: Replaying
    where
        Self: 'h;
    /// Memory of a thread that fills pages.
    type Worker: Default + Send;

    /// The series with these labels, made with this reference if there is none.
    ///
    /// # Errors
    /// There may be no such series.
    fn series(
        &self,
        series_ref: HeadSeriesRef,
        labels: LabelPairs<'_>,
    ) -> Result<Created, Self::Error>;

    /// A series that was dropped goes on under another reference.
    fn rename(&self, slot: u32, series_ref: HeadSeriesRef);

    /// No new series gets this reference or one below it.
    fn raise_last_ref(&self, series_ref: HeadSeriesRef);

    /// Adds an exemplar; `false`: it was not taken.
    fn exemplar(&self, slot: u32, exemplar: &Exemplar<LabelPairs<'_>>) -> bool;

    /// Sets what is known about a series.
    fn metadata(&self, slot: u32, entry: &MetadataEntry<'_>);

    /// Adds a deleted interval.
    fn tombstone(&self, slot: u32, interval: Interval);

    /// Checkpoints are to keep the series record of this reference until this time, since the log has
    /// samples under it.
    fn keep_in_checkpoints(&self, series_ref: HeadSeriesRef, until: i64);

    /// Checkpoints are to keep the series record of this reference until all that is out of order now
    /// is in blocks: some of it is known by this reference.
    fn keep_until_late_flush(&self, series_ref: HeadSeriesRef);

    /// Samples from `min` to `max` were replayed.
    fn extend_times(&self, min: i64, max: i64);

    /// Samples from `min` to `max` came in out of order.
    fn extend_out_of_order_times(&self, min: i64, max: i64);

    /// Locks the page that `slot` is in.
    fn page<'h>(&'h self, slot: u32, worker: &'h mut Self::Worker) -> Self::Page<'h>;

    /// Writes the chunks that became full. Called between pages, now and then.
    ///
    /// # Errors
    /// They can't be written.
    fn write_full(&self, worker: &mut Self::Worker) -> Result<(), Self::Error>;
}

/// A page that is being filled. Slots are those of the page.
pub(crate) trait Replaying {
    /// Adds chunks that were loaded. Those in order go where they belong in time: they may be older
    /// than those of another reference of the series. One that overlaps what is there is added to
    /// those out of order, so that nothing is lost; how many these were.
    fn adopt(&mut self, slot: u32, in_order: &[LoadedChunk], out_of_order: &[LoadedChunk]) -> u64;

    /// Forgets the samples in order that there are so far.
    fn forget_in_order(&mut self, slot: u32);

    /// Forgets the chunks out of order that were adopted so far.
    fn forget_late(&mut self, slot: u32);

    /// Forgets all samples of a series.
    fn forget(&mut self, slot: u32);

    /// The kind of the newest chunk's values; floats if there is none.
    fn latest_kind(&self, slot: u32) -> ValueType;

    /// Appends a float of a start time and a time. `false`: it is not newer than all others.
    fn float(&mut self, slot: u32, times: (i64, i64), value: f64) -> bool;

    /// Appends a histogram, likewise.
    fn histogram(&mut self, slot: u32, times: (i64, i64), value: &Histogram) -> bool;

    /// Appends a histogram with float counts, likewise.
    fn float_histogram(&mut self, slot: u32, times: (i64, i64), value: &FloatHistogram) -> bool;

    /// Inserts a sample out of order. `false`: the open chunk has one of its time.
    fn insert(&mut self, slot: u32, times: (i64, i64), value: SampleValue<'_>) -> bool;

    /// Forgets those samples of the open out-of-order chunk that are in the loaded chunk `chunk`, or,
    /// without one, in any that the series has. Whether `chunk` had to be adopted first.
    fn forget_mapped(&mut self, slot: u32, chunk: Option<&LoadedChunk>) -> bool;
}
