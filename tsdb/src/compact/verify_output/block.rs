//! A block as verification reads it: series by series, then records or samples.

use std::sync::Arc;

use tsdb_format::chunkenc::ChunkDecoder;
use tsdb_format::tombstones::Interval;

use super::chunk_list::Listed;
use super::fetch::{Record, RecordError, RecordReader};
use super::layout::Layout;
use super::scan::SeriesScan;
use crate::compact::error::{CompactError, Disagreement, SourceFault};
use crate::compact::reencode::digest_current;
use crate::compact::source::Source;
use crate::compact::stones::StoneCursor;

/// What each block's reading may use, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShares {
    pub(super) series_window: usize,
    pub(super) chunk_window: usize,
    pub(super) symbols: u64,
}

/// A block, and where in it we are.
pub(super) struct Block {
    pub(super) scan: SeriesScan,
    records: RecordReader,
    /// For the output: what must stand where.
    pub(super) layout: Option<Layout>,
    deleted: Deleted,
    decoder: ChunkDecoder,
    /// The chunk that is being decoded.
    record: Option<Record>,
    /// Time of the current sample.
    time: Option<i64>,
    last_time: Option<i64>,
}

/// What is deleted of the current series; nothing of the output.
struct Deleted {
    stones: Option<StoneCursor>,
    series_ref: u64,
    /// The first interval that does not end in front of where we are.
    next: Option<Interval>,
    any: bool,
}

impl Deleted {
    fn enter(&mut self, series_ref: u64) -> Result<(), CompactError> {
        let Some(stones) = &mut self.stones else { return Ok(()) };
        stones.seek(series_ref)?;
        self.series_ref = series_ref;
        self.next = stones.next_of(series_ref)?;
        self.any = self.next.is_some();
        Ok(())
    }

    /// Whether `[min_time, max_time]` lies within one interval. Times asked for ascend.
    fn covers(&mut self, min_time: i64, max_time: i64) -> Result<bool, CompactError> {
        let Some(stones) = &mut self.stones else { return Ok(false) };
        while self.next.is_some_and(|next| next.max < min_time) {
            self.next = stones.next_of(self.series_ref)?;
        }
        Ok(self.next.is_some_and(|next| next.min <= min_time && max_time <= next.max))
    }
}

impl Block {
    pub(super) fn source(source: &Arc<Source>, shares: BlockShares) -> Result<Self, CompactError> {
        Self::open(source, None, shares)
    }

    pub(super) fn output(source: &Arc<Source>, shares: BlockShares) -> Result<Self, CompactError> {
        Self::open(source, Some(Layout::new(source)), shares)
    }

    fn open(
        source: &Arc<Source>,
        layout: Option<Layout>,
        shares: BlockShares,
    ) -> Result<Self, CompactError> {
        let strict = layout.is_some();
        let stones = source.stones().filter(|stones| !stones.is_empty());
        let stones = stones.map(|stones| StoneCursor::new(stones, shares.series_window));
        let deleted = Deleted { stones, series_ref: 0, next: None, any: false };
        Ok(Self {
            scan: SeriesScan::open(source, strict, shares.series_window, shares.symbols)?,
            records: RecordReader::new(source, shares.chunk_window),
            layout,
            deleted,
            decoder: ChunkDecoder::new(),
            record: None,
            time: None,
            last_time: None,
        })
    }

    /// Moves to the next series; false behind the last one.
    pub(super) fn advance(&mut self) -> Result<bool, CompactError> {
        (self.record, self.time, self.last_time) = (None, None, None);
        if !self.scan.advance()? {
            return Ok(false);
        }
        self.deleted.enter(self.scan.reference())?;
        if let Some(layout) = &mut self.layout {
            layout.begin_series(&self.scan);
        }
        Ok(true)
    }

    pub(super) fn has_deleted(&self) -> bool {
        self.deleted.any
    }

    /// An error that blames a chunk of the current series.
    pub(super) fn blame(&self, chunk: &Listed, fault: SourceFault) -> CompactError {
        let series = self.scan.labels().to_string();
        self.scan.source().chunk_fault(chunk.reference, series, fault)
    }

    /// Reads and checks a chunk of the series.
    pub(super) fn read(&mut self, chunk: Listed) -> Result<Record, CompactError> {
        if let Some(layout) = &mut self.layout
            && let Err(fault) = layout.expect(self.scan.source(), chunk.reference)?
        {
            return Err(self.blame(&chunk, fault));
        }
        let record = self.records.read(chunk.reference).map_err(|error| match error {
            RecordError::Fault(fault) => self.blame(&chunk, fault),
            RecordError::Other(error) => error,
        })?;
        if let Some(layout) = &mut self.layout {
            layout.count(&record);
        }
        Ok(record)
    }

    /// All bytes of the record that was read last.
    pub(super) fn bytes(&self, record: &Record) -> &[u8] {
        self.records.bytes(record)
    }

    /// The chunk of which the current sample is.
    pub(super) fn current_chunk(&self) -> Option<&Listed> {
        self.scan.chunks().current()
    }

    /// Time of the current sample, if there is one.
    pub(super) fn time(&self) -> Option<i64> {
        self.time
    }

    /// Digest of the current sample.
    pub(super) fn digest(&self) -> u64 {
        digest_current(&self.decoder)
    }

    /// Moves to the series' next sample within `range` (both ends inclusive) that is not deleted.
    pub(super) fn next_sample(&mut self, range: (i64, i64)) -> Result<Option<i64>, CompactError> {
        loop {
            if self.record.is_none() && !self.begin_chunk(range)? {
                self.time = None;
                return Ok(None);
            }
            let Some(time) = self.decode()? else {
                self.record = None;
                continue;
            };
            if range.0 <= time && time <= range.1 && !self.deleted.covers(time, time)? {
                self.time = Some(time);
                return Ok(Some(time));
            }
        }
    }

    /// Begins the next chunk of which something may be left; false if there is none.
    fn begin_chunk(&mut self, range: (i64, i64)) -> Result<bool, CompactError> {
        while let Some(chunk) = self.scan.next_chunk()? {
            let Listed { min_time, max_time, .. } = chunk;
            let gone = self.deleted.covers(min_time, max_time)?;
            if gone || max_time < range.0 || min_time > range.1 {
                continue;
            }
            let record = self.read(chunk)?;
            let data = self.records.data(&record);
            if let Err(error) = self.decoder.reset(record.encoding, data) {
                return Err(self.fault(error.into()));
            }
            self.record = Some(record);
            return Ok(true);
        }
        Ok(false)
    }

    /// The chunk's next sample; `None` behind the last one.
    fn decode(&mut self) -> Result<Option<i64>, CompactError> {
        let (Some(record), Some(chunk)) = (self.record, self.current_chunk().copied()) else {
            return Ok(None);
        };
        let first = u64::from(self.decoder.remaining()) == record.samples;
        let more = match self.decoder.next(self.records.data(&record)) {
            Ok(more) => more.is_some(),
            Err(error) => return Err(self.fault(error.into())),
        };
        if !more {
            let whole = self.last_time == Some(chunk.max_time);
            return if whole { Ok(None) } else { Err(self.fault(Disagreement::End.into())) };
        }
        let time = self.decoder.timestamp();
        if first && time != chunk.min_time {
            return Err(self.fault(Disagreement::Start.into()));
        }
        if self.last_time.is_some_and(|last| last >= time) {
            return Err(self.fault(Disagreement::SamplesNotInOrder.into()));
        }
        self.last_time = Some(time);
        Ok(Some(time))
    }

    fn fault(&self, fault: SourceFault) -> CompactError {
        match self.current_chunk() {
            Some(chunk) => self.blame(chunk, fault),
            None => unreachable!("a chunk was begun"),
        }
    }
}
