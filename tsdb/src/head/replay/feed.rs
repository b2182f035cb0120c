//! Reads a log: makes series, and passes samples on.

use std::collections::HashSet;

use tsdb_format::record::{
    Exemplars, HeadChunkRef, HeadSeriesRef, Metadata, MmapMarker, MmapMarkers, Record, RecordType,
    Series, Tombstones,
};
use tsdb_format::{DecodeError, Rule};

use super::batch::{Batch, Item};
use super::pipeline::Log;
use super::refs::{Known, RefTable};
use super::report::Replayed;
use super::target::ReplayHead;
use crate::head::chunk_files::{LoadedChunk, LoadedFiles};
use crate::wal::Position;

/// What a record could not be taken for.
pub(super) enum FeedError<E> {
    Decode(DecodeError),
    Head(E),
}

impl<E> From<DecodeError> for FeedError<E> {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

/// Takes the records of a log one by one.
pub(super) struct Feed<'f, H> {
    pub(super) log: Log,
    pub(super) head: &'f H,
    pub(super) loaded: &'f LoadedFiles,
    pub(super) refs: &'f mut RefTable,
    pub(super) replayed: &'f mut Replayed,
    pub(super) min_valid_time: i64,
    /// References without a series that were met here.
    pub(super) unknown: HashSet<HeadSeriesRef>,
}

impl<H: ReplayHead> Feed<'_, H> {
    /// Takes a record; what workers have to do about it is added to the batch.
    pub(super) fn take(
        &mut self,
        position: Position,
        record: &[u8],
        batch: &mut Batch,
    ) -> Result<(), FeedError<H::Error>> {
        self.replayed.records += 1;
        let record_type = record.first().copied().and_then(RecordType::from_byte);
        match (record_type, self.log) {
            (
                Some(
                    RecordType::Samples
                    | RecordType::SamplesV2
                    | RecordType::Histograms
                    | RecordType::CustomHistograms
                    | RecordType::HistogramsV2
                    | RecordType::FloatHistograms
                    | RecordType::CustomFloatHistograms
                    | RecordType::FloatHistogramsV2,
                ),
                _,
            ) => batch.push_record(record, position),
            (Some(RecordType::MmapMarkers), Log::Wal) | (None, _) => {
                self.replayed.unknown_records += 1;
            }
            (Some(_), log) => match (Record::decode(record)?, log) {
                (Record::Series(series), Log::Wal) => self.series(series, batch)?,
                (Record::Tombstones(stones), Log::Wal) => self.tombstones(stones, batch)?,
                (Record::Exemplars(exemplars), Log::Wal) => self.exemplars(exemplars)?,
                (Record::Metadata(metadata), Log::Wal) => self.metadata(metadata)?,
                (Record::MmapMarkers(markers), Log::Wbl) => self.markers(markers, batch)?,
                _ => self.replayed.unknown_records += 1,
            },
        }
        Ok(())
    }

    fn series(&mut self, series: Series<'_>, batch: &mut Batch) -> Result<(), FeedError<H::Error>> {
        for entry in series {
            let entry = entry?;
            let series_ref = entry.series_ref;
            if !RefTable::is_plausible(series_ref) {
                return Err(DecodeError::malformed(0, Rule::HeadSeriesReference).into());
            }
            let created = self.head.series(series_ref, entry.labels).map_err(FeedError::Head)?;
            self.head.raise_last_ref(series_ref);
            self.note_recorded(series_ref);
            let slot = created.slot;
            let is_revived = !created.is_new && self.refs.revive_slot(slot);
            if is_revived {
                self.head.rename(slot, series_ref);
            }
            // The same reference may be named again: two appenders logged it, or a checkpoint did. All
            // that there is of it stays.
            let is_known = self.refs.get(series_ref).is_some_and(|known| known.slot == slot);
            if is_known && !is_revived {
                continue;
            }
            let is_duplicate = !created.is_new && !is_revived;
            self.refs.set(series_ref, Known { slot, is_duplicate });
            self.replayed.series += u64::from(created.is_new);
            self.replayed.duplicate_series += u64::from(is_duplicate);
            let is_late = |chunk: &LoadedChunk| chunk.is_out_of_order;
            if is_duplicate && self.loaded.of(series_ref).iter().any(is_late) {
                // When a block has these does not follow from what the log has.
                self.head.keep_until_late_flush(series_ref);
            }
            batch.items.push(Item::Begin { slot, series_ref, is_duplicate });
        }
        Ok(())
    }

    fn tombstones(
        &mut self,
        stones: Tombstones<'_>,
        batch: &mut Batch,
    ) -> Result<(), FeedError<H::Error>> {
        for stone in stones {
            let stone = stone?;
            self.raise_last_ref(stone.series_ref);
            self.note_recorded(stone.series_ref);
            let known = self.refs.get(stone.series_ref);
            if stone.is_drop() {
                if let Some(Known { slot, .. }) = known {
                    self.refs.drop_slot(slot);
                    batch.items.push(Item::Drop { slot });
                }
                continue;
            }
            if stone.interval.max < self.min_valid_time {
                continue;
            }
            let Some(Known { slot, is_duplicate }) = known else {
                self.unknown(stone.series_ref);
                self.replayed.unknown.tombstones += 1;
                continue;
            };
            if is_duplicate {
                self.head.keep_in_checkpoints(stone.series_ref, stone.interval.max);
            }
            self.head.tombstone(slot, stone.interval);
            self.replayed.tombstones += 1;
        }
        Ok(())
    }

    fn exemplars(&mut self, exemplars: Exemplars<'_>) -> Result<(), FeedError<H::Error>> {
        for exemplar in exemplars {
            let exemplar = exemplar?;
            if exemplar.timestamp_ms < self.min_valid_time {
                self.raise_last_ref(exemplar.series_ref);
                self.replayed.before_min_valid_time += 1;
                continue;
            }
            let Some(Known { slot, is_duplicate }) = self.refs.get(exemplar.series_ref) else {
                self.unknown(exemplar.series_ref);
                self.replayed.unknown.exemplars += 1;
                continue;
            };
            if is_duplicate {
                self.head.keep_in_checkpoints(exemplar.series_ref, exemplar.timestamp_ms);
            }
            self.replayed.exemplars += u64::from(self.head.exemplar(slot, &exemplar));
        }
        Ok(())
    }

    fn metadata(&mut self, metadata: Metadata<'_>) -> Result<(), FeedError<H::Error>> {
        for entry in metadata {
            let entry = entry?;
            let Some(Known { slot, .. }) = self.refs.get(entry.series_ref) else {
                self.unknown(entry.series_ref);
                self.replayed.unknown.metadata += 1;
                continue;
            };
            self.head.metadata(slot, &entry);
            self.replayed.metadata += 1;
        }
        Ok(())
    }

    /// What a marker names is held against what stands in front of it, sample by sample: the chunk
    /// may have been lost, and another one may be in its place since.
    fn markers(
        &mut self,
        markers: MmapMarkers<'_>,
        batch: &mut Batch,
    ) -> Result<(), FeedError<H::Error>> {
        for marker in markers {
            let MmapMarker { series_ref, chunk_ref } = marker?;
            let Some(Known { slot, .. }) = self.refs.get(series_ref) else {
                self.unknown(series_ref);
                self.replayed.unknown.mmap_markers += 1;
                continue;
            };
            let is_first = chunk_ref == HeadChunkRef::default();
            let chunk = self.loaded.out_of_order(series_ref, chunk_ref).copied();
            if is_first || chunk.is_some() {
                batch.items.push(Item::Mapped { slot, chunk });
            } else {
                self.replayed.markers_without_chunk += 1;
            }
        }
        Ok(())
    }

    fn note_recorded(&mut self, series_ref: HeadSeriesRef) {
        let last = &mut self.replayed.last_recorded_ref;
        *last = series_ref.get().max(*last);
    }

    /// A reference without a series.
    fn unknown(&mut self, series_ref: HeadSeriesRef) {
        self.unknown.insert(series_ref);
        self.raise_last_ref(series_ref);
    }

    /// A reference that something was stored under must not be given out again.
    fn raise_last_ref(&self, series_ref: HeadSeriesRef) {
        if RefTable::is_plausible(series_ref) {
            self.head.raise_last_ref(series_ref);
        }
    }
}
