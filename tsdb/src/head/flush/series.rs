//! One series of a head on its way into a block.

use tsdb_format::chunkenc::num_samples;
use tsdb_format::labels::Labels;
use tsdb_format::tombstones::Interval;

use super::recut::Recut;
use crate::compact::{
    ChunkInput, CompactError, EncodedChunks, FloatEncoding, HeadFault, Ledger, LedgerMismatch,
    Mismatch, PreparedBatch, ReencodeError, Reencoder, digest_chunk,
};
use crate::head::source::HeadSource;
use crate::head::units::{Chunks, Unit};
use crate::head::view_series::HeadSeries;
use crate::query::TimeRange;

/// Prepares series; kept and used again.
pub(super) struct SeriesFlush<'v> {
    view: &'v dyn HeadSource,
    /// By the head's id of a symbol, what the block calls it.
    ranks: &'v [u32],
    range: TimeRange,
    which: Chunks,
    series: HeadSeries,
    order: Vec<u32>,
    labels: Vec<u32>,
    /// What is left out of a chunk: deleted intervals, then what is out of range.
    left_out: Vec<Interval>,
    reencoder: Reencoder,
    encoded: EncodedChunks,
    recut: Recut,
}

impl<'v> SeriesFlush<'v> {
    pub(super) fn new(
        view: &'v dyn HeadSource,
        ranks: &'v [u32],
        range: TimeRange,
        which: Chunks,
    ) -> Self {
        Self {
            view,
            ranks,
            range,
            which,
            series: HeadSeries::default(),
            order: Vec::new(),
            labels: Vec::new(),
            left_out: Vec::new(),
            // Chunks are trimmed in their own encoding, and cut anew as XOR.
            reencoder: Reencoder::new(FloatEncoding::Xor),
            encoded: EncodedChunks::default(),
            recut: Recut::default(),
        }
    }

    /// Appends what the block holds of series `id` to `out`.
    pub(super) fn flush(&mut self, id: u32, out: &mut PreparedBatch) -> Result<(), CompactError> {
        if !self.view.series(id, &mut self.series).map_err(|e| Box::new(HeadFault::from(e)))? {
            return Ok(());
        }
        if self.which == Chunks::OutOfOrder {
            self.series.deleted.clear();
        }
        let mut ledger = self.claimed();
        if ledger.samples_in == 0 {
            return Ok(());
        }
        let mut order = std::mem::take(&mut self.order);
        self.series.order(self.which, self.range, &mut order);
        let mut place = 0;
        while let Some(unit) = self.series.unit_at(&order, place) {
            place = unit.places.end;
            let ids = order.get(unit.places.clone()).unwrap_or_default();
            self.flush_unit(&unit, ids, &mut ledger, out)?;
        }
        self.order = order;
        self.labels.clear();
        for &(name, value) in &self.series.labels {
            for symbol in [name, value] {
                let rank = self.ranks.get(symbol as usize).copied();
                // One that is not among the symbols makes labels that no block can have.
                self.labels.push(rank.unwrap_or(u32::MAX));
            }
        }
        if self.labels.contains(&u32::MAX) {
            return Err(self.mismatch(Mismatch::HeadSymbols));
        }
        out.end_series(&self.labels, &ledger);
        Ok(())
    }

    /// What the view claims to hold, all that is out of range left out already.
    fn claimed(&self) -> Ledger {
        let split = self.series.out_of_order_from.min(self.series.chunks.len());
        let (in_order, out_of_order) = self.series.chunks.split_at(split);
        let chunks = if self.which == Chunks::OutOfOrder { out_of_order } else { in_order };
        let mut ledger = Ledger::default();
        for chunk in chunks {
            ledger.samples_in += u64::from(chunk.samples);
            if !self.range.overlaps(chunk.min_time, chunk.max_time) {
                ledger.out_of_range += u64::from(chunk.samples);
            }
        }
        ledger
    }

    fn flush_unit(
        &mut self,
        unit: &Unit,
        ids: &[u32],
        ledger: &mut Ledger,
        out: &mut PreparedBatch,
    ) -> Result<(), CompactError> {
        let samples = self.samples_of(ids)?;
        let deleted = &self.series.deleted;
        if deleted.iter().any(|stone| stone.min <= unit.min_time && unit.end <= stone.max) {
            ledger.tombstoned += samples;
            return Ok(());
        }
        self.left_out.clear();
        let touching = deleted.iter().filter(|s| s.min <= unit.end && unit.min_time <= s.max);
        self.left_out.extend(touching.copied());
        let stones = self.left_out.len();
        if unit.min_time < self.range.mint {
            self.left_out.push(Interval { min: i64::MIN, max: self.range.mint - 1 });
        }
        if unit.end > self.range.maxt {
            self.left_out.push(Interval { min: self.range.maxt + 1, max: i64::MAX });
        }
        match *ids {
            [id] if self.left_out.is_empty() => {
                let id = id as usize;
                let Some(chunk) = self.series.chunks.get(id) else { return Ok(()) };
                let times = (chunk.min_time, chunk.max_time);
                out.add_chunk(chunk.encoding, self.series.data(id), times);
                Ok(())
            }
            [id] => self.trim(id as usize, unit, stones, ledger, out),
            _ => self.merge(unit, ids, stones, ledger, out),
        }
    }

    /// How many samples the chunks hold; the view's figure and the chunks' headers have to agree.
    fn samples_of(&self, ids: &[u32]) -> Result<u64, CompactError> {
        let mut all = 0;
        for &id in ids {
            let Some(chunk) = self.series.chunks.get(id as usize) else { continue };
            let samples = num_samples(chunk.encoding, self.series.data(id as usize));
            if samples.as_ref().ok() != Some(&chunk.samples) {
                let (stated, counted) = (samples.unwrap_or(0), chunk.samples);
                return Err(self.mismatch(Mismatch::HeadChunk { stated, counted }));
            }
            all += u64::from(chunk.samples);
        }
        Ok(all)
    }

    /// Encodes a chunk anew without what is left out.
    fn trim(
        &mut self,
        id: usize,
        unit: &Unit,
        stones: usize,
        ledger: &mut Ledger,
        out: &mut PreparedBatch,
    ) -> Result<(), CompactError> {
        let Some(chunk) = self.series.chunks.get(id) else { return Ok(()) };
        let (min_time, max_time) = (chunk.min_time, chunk.max_time);
        let input =
            ChunkInput { encoding: chunk.encoding, data: self.series.data(id), min_time, max_time };
        self.encoded.clear();
        // The open chunk is encoded anew even if all of it is in range.
        let edges = self.left_out.get(stones..).unwrap_or_default();
        let reencoder = &mut self.reencoder;
        let mut trim = |left_out: &[Interval], encoded: &mut EncodedChunks| {
            encoded.clear();
            reencoder.trim(input, left_out, encoded)
        };
        let outside = if self.range.covers(min_time, max_time) {
            Ok(0)
        } else {
            trim(edges, &mut self.encoded).map(|counts| counts.deleted)
        };
        let trimmed = outside.and_then(|outside| {
            trim(&self.left_out, &mut self.encoded).map(|counts| (outside, counts))
        });
        let (outside, counts) = trimmed.map_err(|source| self.fault(unit, source))?;
        ledger.out_of_range += outside;
        ledger.tombstoned += counts.deleted.saturating_sub(outside);
        let mut digest = 0u64;
        for chunk in &self.encoded.chunks {
            let data = self.encoded.arena.get(chunk.range.clone()).unwrap_or_default();
            digest = digest.wrapping_add(self.digest_of(unit, chunk.encoding, data)?);
            out.add_chunk(chunk.encoding, data, (chunk.min_time, chunk.max_time));
        }
        if digest == counts.digest { Ok(()) } else { Err(self.altered()) }
    }

    /// Merges chunks that overlap, without what is left out, into new ones.
    fn merge(
        &mut self,
        unit: &Unit,
        ids: &[u32],
        stones: usize,
        ledger: &mut Ledger,
        out: &mut PreparedBatch,
    ) -> Result<(), CompactError> {
        let (deleted, range) = (self.left_out.get(..stones).unwrap_or_default(), self.range);
        self.encoded.clear();
        let merged = self.recut.merge(&self.series, ids, deleted, range, &mut self.encoded);
        let counts = merged.map_err(|source| self.fault(unit, source))?;
        ledger.out_of_range += counts.out_of_range;
        ledger.tombstoned += counts.deleted;
        ledger.superseded_equal += counts.superseded_equal;
        ledger.superseded_conflicting += counts.superseded_conflicting;
        let mut digest = 0u64;
        for chunk in &self.encoded.chunks {
            let data = self.encoded.arena.get(chunk.range.clone()).unwrap_or_default();
            digest = digest.wrapping_add(self.digest_of(unit, chunk.encoding, data)?);
            out.add_chunk(chunk.encoding, data, (chunk.min_time, chunk.max_time));
        }
        if digest == counts.digest { Ok(()) } else { Err(self.altered()) }
    }

    fn digest_of(
        &self,
        unit: &Unit,
        encoding: tsdb_format::chunkenc::Encoding,
        data: &[u8],
    ) -> Result<u64, CompactError> {
        let digest = digest_chunk(encoding, data).map(|(_, digest)| digest);
        digest.map_err(|source| self.fault(unit, ReencodeError::Decode { input: 0, source }))
    }

    #[cold]
    fn name(&self) -> String {
        let pairs = self.series.labels.iter();
        let pairs = pairs.map(|&(name, value)| (self.view.symbol(name), self.view.symbol(value)));
        pairs.collect::<Labels>().to_string()
    }

    #[cold]
    fn fault(&self, unit: &Unit, source: ReencodeError) -> CompactError {
        let (series, min_time) = (self.name(), unit.min_time);
        Box::new(HeadFault::Chunk { series, min_time, source }).into()
    }

    #[cold]
    fn altered(&self) -> CompactError {
        self.mismatch(Mismatch::Reencoded)
    }

    #[cold]
    fn mismatch(&self, what: Mismatch) -> CompactError {
        let series = self.name();
        CompactError::Ledger(Box::new(LedgerMismatch {
            block: None,
            series,
            chunk: None,
            what,
            totals: None,
        }))
    }
}
