//! Records of every type: samples of testdata's chunks, and some of the rest.

use tsdb_format::chunkenc::{ChunkIterator, Encoding, FloatHistogram, Histogram, ValueType};
use tsdb_format::record::{
    Exemplar, FloatSample, HeadChunkRef, HeadSeriesRef, MetadataEntry, MetricType, MmapMarker,
    SampleId, SampleVersion, Tombstone, encode_exemplars, encode_float_histograms,
    encode_histograms, encode_metadata, encode_mmap_markers, encode_samples, encode_series,
    encode_tombstones,
};
use tsdb_format::tombstones::Interval;
use tsdb_format::wal::{Compression, Compressor, SEGMENT_BYTES, SegmentWriter};

/// Samples of a chunk that go into a record: enough for every kind of difference.
const SAMPLES_MAX: usize = 9;

pub(super) fn records() -> Vec<Vec<u8>> {
    let mut found = others();
    for encoding in Encoding::ALL {
        for chunk in super::chunks(encoding).iter().step_by(9).take(12) {
            for version in [SampleVersion::V1, SampleVersion::V2] {
                found.extend(of_chunk(encoding, chunk, version));
            }
        }
    }
    found
}

/// Segments of a few of these records, however compressed.
pub(super) fn segments() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
        let mut compressor = Compressor::new(compression);
        for several in records().chunks(11).take(12) {
            let (mut writer, mut out) = (SegmentWriter::new(SEGMENT_BYTES), Vec::new());
            for record in several {
                let (stored, stored_as) = compressor.compress(record);
                writer.put(&mut out, stored, stored_as);
            }
            // A record of more than a page, in the last ones.
            if found.len() % 12 > 9 {
                let (stored, stored_as) = compressor.compress(&LONG);
                writer.put(&mut out, stored, stored_as);
                writer.pad(&mut out);
            }
            found.push(out);
        }
    }
    found
}

static LONG: [u8; 40_000] = [7; 40_000];

/// The first samples of a chunk, as a record.
fn of_chunk(encoding: Encoding, chunk: &[u8], version: SampleVersion) -> [Vec<u8>; 2] {
    let (mut floats, mut histograms, mut float_histograms) = (Vec::new(), Vec::new(), Vec::new());
    let Ok(mut iterator) = ChunkIterator::new(encoding, chunk) else { return Default::default() };
    for series_ref in 0..SAMPLES_MAX as u64 {
        let Ok(Some(value_type)) = iterator.next() else { break };
        let id = SampleId::new(7 * series_ref % 5, iterator.timestamp());
        let id = id.with_start(iterator.start_timestamp());
        match value_type {
            ValueType::Float => floats.push(FloatSample { id, value: iterator.float() }),
            ValueType::Histogram => histograms.push((id, iterator.histogram().clone())),
            ValueType::FloatHistogram => {
                float_histograms.push((id, iterator.float_histogram().clone()));
            }
        }
    }
    let (mut record, mut custom) = (Vec::new(), Vec::new());
    match encoding.value_type() {
        ValueType::Float => encode_samples(&mut record, version, floats),
        ValueType::Histogram => {
            let each = histograms.iter().map(|(id, value): &(_, Histogram)| (*id, value));
            encode_histograms(&mut record, &mut custom, version, each);
        }
        ValueType::FloatHistogram => {
            let each =
                float_histograms.iter().map(|(id, value): &(_, FloatHistogram)| (*id, value));
            encode_float_histograms(&mut record, &mut custom, version, each);
        }
    }
    [record, custom]
}

/// One record each of the types without samples.
fn others() -> Vec<Vec<u8>> {
    let series_ref = HeadSeriesRef::from;
    let labels = || vec![("__name__", "up"), ("instance", "a:9090"), ("job", "ä")];
    let mut out = vec![Vec::new(); 5];
    encode_series(&mut out[0], (0..4).map(|n| (series_ref(n << n), labels())));
    encode_tombstones(
        &mut out[1],
        [
            Tombstone::of_dropped(series_ref(1)),
            Tombstone { series_ref: series_ref(2), interval: Interval { min: -5, max: 1 << 40 } },
        ],
    );
    encode_exemplars(
        &mut out[2],
        (0..3).map(|n| Exemplar {
            series_ref: series_ref(n),
            timestamp_ms: 1000 * n as i64,
            value: 0.5,
            labels: vec![("trace_id", "abc")],
        }),
    );
    encode_mmap_markers(
        &mut out[3],
        (0..3).map(|n| MmapMarker {
            series_ref: series_ref(n),
            chunk_ref: HeadChunkRef::new(n as u32, 8),
        }),
    );
    encode_metadata(
        &mut out[4],
        (0..3).map(|n| MetadataEntry {
            series_ref: series_ref(n << 40),
            metric_type: MetricType::Counter,
            unit: "bytes",
            help: "How much.",
        }),
    );
    out
}
