//! The chunks of a series, sample by sample.

use std::cmp::Ordering;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{ChunkDecoder, Encoding, FloatSamples, ValueType, decode_floats};
use tsdb_format::chunks::{BlockChunkRef, ChunkRecord};
use tsdb_format::index::ChunkMeta;

use super::Progress;
use super::content::Content;
use super::report::{FindingKind, Findings, LabelBytes, Subject};
use super::segments::Segments;

/// Checks chunks; kept for the whole block.
#[derive(Debug, Default)]
pub(super) struct ChunkCheck {
    decoder: ChunkDecoder,
    floats: FloatSamples,
    /// The chunk before, of whatever series.
    previous: Option<Place>,
}

/// Where the record of a chunk is.
#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: BlockChunkRef,
    len_bytes: u64,
}

impl Place {
    /// Chunks stand in the order of the series that list them, and none belongs to two.
    fn ends_before(self, next: BlockChunkRef) -> bool {
        let end = u64::from(self.chunk.offset()) + self.len_bytes;
        match next.segment().cmp(&self.chunk.segment()) {
            Ordering::Less => false,
            Ordering::Equal => u64::from(next.offset()) >= end,
            Ordering::Greater => true,
        }
    }
}

/// What the samples of a chunk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Samples {
    count: u64,
    value_type: ValueType,
    /// Times in milliseconds.
    first: i64,
    last: i64,
    in_order: bool,
}

impl ChunkCheck {
    /// Checks all chunks of the series with `labels`.
    pub(super) fn check(
        &mut self,
        labels: &[LabelBytes<'_>],
        chunks: &[ChunkMeta],
        segments: &mut Segments,
        findings: &mut Findings,
        content: &mut Content,
        progress: &mut Progress<'_>,
    ) {
        let index = findings.dir().join("index");
        let mut previous_max: Option<i64> = None;
        for chunk in chunks {
            let subject = Subject { labels: Some(labels), chunk: Some(chunk.reference) };
            if chunk.min_time > chunk.max_time
                || previous_max.is_some_and(|previous| chunk.min_time <= previous)
            {
                let (min, max) = (chunk.min_time, chunk.max_time);
                let detail = format!("its chunk from {min} to {max} is not behind the one before");
                findings.fault_of(FindingKind::ChunkOrder, &index, subject, detail);
            }
            previous_max = Some(chunk.max_time);
            match self.one(subject, chunk, segments, findings, progress) {
                Some(samples) => content.add(samples),
                None => content.incomplete = true,
            }
        }
    }

    /// The samples of a chunk; `None` if it can't be read, which is then a finding.
    fn one(
        &mut self,
        subject: Subject<'_>,
        chunk: &ChunkMeta,
        segments: &mut Segments,
        findings: &mut Findings,
        progress: &mut Progress<'_>,
    ) -> Option<Samples> {
        let reference = chunk.reference;
        let index = findings.dir().join("index");
        let path = segments.path(reference).unwrap_or(&index).to_owned();
        let record = match segments.record(reference) {
            Ok(record) => record,
            Err(error) => {
                error.report(reference, &path, subject, findings);
                return None;
            }
        };
        progress.add(record.record_bytes as u64);
        if let Some(previous) = self.previous.filter(|previous| !previous.ends_before(reference)) {
            let detail =
                format!("begins before the end of {}, which the index lists first", previous.chunk);
            findings.fault_of(FindingKind::ChunkReference, &path, subject, detail);
        }
        // A length that no checksum confirms says nothing about the next chunk.
        let sure = record.verify().is_ok();
        let len_bytes = if sure { record.record_bytes as u64 } else { 1 };
        self.previous = Some(Place { chunk: reference, len_bytes });
        match self.samples(&record) {
            Ok(samples) => {
                let mut fault = |detail: String| {
                    findings.fault_of(FindingKind::Samples, &path, subject, detail);
                };
                if samples.count == 0 {
                    fault("has no samples".to_owned());
                } else if (samples.first, samples.last) != (chunk.min_time, chunk.max_time) {
                    let Samples { first, last, .. } = samples;
                    let (min, max) = (chunk.min_time, chunk.max_time);
                    fault(format!(
                        "has samples from {first} to {last}, the index says from {min} to {max}"
                    ));
                }
                if !samples.in_order {
                    fault("has samples that are not in time order".to_owned());
                }
                Some(samples)
            }
            Err(error) => {
                let error = error.shifted(reference.offset().into());
                findings.fault_of(FindingKind::Chunk, &path, subject, error);
                None
            }
        }
    }

    fn samples(&mut self, record: &ChunkRecord<'_>) -> Result<Samples, DecodeError> {
        record.verify()?;
        let encoding =
            Encoding::try_from(record.encoding).map_err(|kind| DecodeError::new(0, kind))?;
        let value_type = encoding.value_type();
        let mut samples = Samples { count: 0, value_type, first: 0, last: 0, in_order: true };
        if value_type == ValueType::Float {
            self.floats.clear();
            decode_floats(encoding, record.data, &mut self.floats)?;
            let times = &self.floats.timestamps;
            samples.count = times.len() as u64;
            samples.first = times.first().copied().unwrap_or_default();
            samples.last = times.last().copied().unwrap_or_default();
            samples.in_order = times.is_sorted_by(|a, b| a < b);
            return Ok(samples);
        }
        self.decoder.reset(encoding, record.data)?;
        while self.decoder.next(record.data)?.is_some() {
            let time = self.decoder.timestamp();
            if samples.count == 0 {
                samples.first = time;
            } else {
                samples.in_order &= samples.last < time;
            }
            samples.last = time;
            samples.count += 1;
        }
        Ok(samples)
    }
}

impl Content {
    fn add(&mut self, samples: Samples) {
        self.counts.chunks += 1;
        self.counts.samples += samples.count;
        match samples.value_type {
            ValueType::Float => self.counts.float_samples += samples.count,
            ValueType::Histogram | ValueType::FloatHistogram => {
                self.counts.histogram_samples += samples.count;
            }
        }
        if samples.count > 0 {
            self.add_times(samples.first, samples.last);
        }
    }
}
