//! What a commit puts into the write-behind log.
//!
//! ```text
//!   samples of chunk 1 ... | marker: chunk 1 is mapped | samples of chunk 2 ... | marker ...
//! ```
//!
//! A marker says that the series' samples in front of it are in the mapped chunk that it names; 0 is
//! the series' first chunk, there is nothing in front of it. Within a batch markers come first, so
//! a batch ends where a series gets a marker that has something in the batch already.
//!
//! At start-up a marker clears what is in its chunk from the series' open one. 3.15 clears all of it,
//! and asks only whether the marker points behind the last chunk that was loaded: a chunk that was
//! lost in a crash, whose marker was not, is taken for loaded as soon as another run has written more
//! chunks, and its samples are gone. Here samples are looked for in the chunk one by one
//! ([`OooSeries::forget_mapped`](super::OooSeries::forget_mapped)).

use std::collections::HashSet;
use std::ops::Range;

use tsdb_format::chunkenc::{FloatHistogram, Histogram};
use tsdb_format::record::{
    FloatSample, HeadChunkRef, HeadSeriesRef, MmapMarker, SampleId, SampleVersion,
    encode_float_histograms, encode_histograms, encode_mmap_markers, encode_samples,
};

use crate::head::sample::SampleValue;

/// The records of a commit, in the order in which they are to be logged.
#[derive(Debug)]
pub(crate) struct WblBatch {
    version: SampleVersion,
    markers: Vec<MmapMarker>,
    floats: Vec<FloatSample>,
    histograms: Vec<(SampleId, Histogram)>,
    float_histograms: Vec<(SampleId, FloatHistogram)>,
    /// The series that have a marker or a sample that is not encoded yet.
    series: HashSet<HeadSeriesRef>,
    bytes: Vec<u8>,
    custom: Vec<u8>,
    records: Vec<Range<usize>>,
}

impl WblBatch {
    /// An empty batch, whose samples are to be encoded so.
    pub(crate) fn new(version: SampleVersion) -> Self {
        Self {
            version,
            markers: Vec::new(),
            floats: Vec::new(),
            histograms: Vec::new(),
            float_histograms: Vec::new(),
            series: HashSet::new(),
            bytes: Vec::new(),
            custom: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Adds that a chunk was begun for a series, the one before it having become the mapped chunks
    /// `refs`; none if there was none. Comes before the sample that it was begun for.
    pub(crate) fn marker(&mut self, series_ref: HeadSeriesRef, refs: &[HeadChunkRef]) {
        if !self.series.insert(series_ref) {
            self.encode();
            self.series.insert(series_ref);
        }
        let first = [HeadChunkRef::default()];
        let refs = if refs.is_empty() { &first } else { refs };
        self.markers.extend(refs.iter().map(|&chunk_ref| MmapMarker { series_ref, chunk_ref }));
    }

    /// Adds a sample that was inserted.
    pub(crate) fn sample(&mut self, id: SampleId, value: SampleValue<'_>) {
        self.series.insert(id.series_ref);
        match value {
            SampleValue::Float(value) => self.floats.push(FloatSample { id, value }),
            SampleValue::Histogram(value) => self.histograms.push((id, value.clone())),
            SampleValue::FloatHistogram(value) => self.float_histograms.push((id, value.clone())),
        }
    }

    /// All records so far; none if there is nothing.
    pub(crate) fn records(&mut self) -> impl Iterator<Item = &[u8]> {
        self.encode();
        self.records.iter().filter_map(|range| self.bytes.get(range.clone()))
    }

    /// Forgets everything, and keeps the memory.
    #[cfg(test)]
    pub(crate) fn clear(&mut self) {
        self.clear_waiting();
        self.bytes.clear();
        self.records.clear();
    }

    fn clear_waiting(&mut self) {
        self.markers.clear();
        self.floats.clear();
        self.histograms.clear();
        self.float_histograms.clear();
        self.series.clear();
    }

    /// Encodes what waits: markers first.
    fn encode(&mut self) {
        let version = self.version;
        if !self.markers.is_empty() {
            encode_mmap_markers(&mut self.bytes, self.markers.iter().copied());
            self.end_record();
        }
        if !self.floats.is_empty() {
            encode_samples(&mut self.bytes, version, self.floats.iter().copied());
            self.end_record();
        }
        if !self.histograms.is_empty() {
            let each = self.histograms.iter().map(|(id, value)| (*id, value));
            encode_histograms(&mut self.bytes, &mut self.custom, version, each);
            self.end_records();
        }
        if !self.float_histograms.is_empty() {
            let each = self.float_histograms.iter().map(|(id, value)| (*id, value));
            encode_float_histograms(&mut self.bytes, &mut self.custom, version, each);
            self.end_records();
        }
        self.clear_waiting();
    }

    /// What was appended to the bytes is a record, if there is anything.
    fn end_record(&mut self) {
        let start = self.records.last().map_or(0, |range| range.end);
        if self.bytes.len() > start {
            self.records.push(start..self.bytes.len());
        }
    }

    /// The same, and what is in `custom` is another one.
    fn end_records(&mut self) {
        self.end_record();
        self.bytes.append(&mut self.custom);
        self.end_record();
    }
}
