//! Records that Prometheus 3.15 made, against ours: `tests/golden/README.md`.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crate::chunkenc::{FloatHistogram, Histogram};
use crate::golden_vectors::{Vectors, golden};
use crate::labels::Labels;
use crate::record::{
    Exemplar, FloatSample, HeadSeriesRef, MetadataEntry, MetricType, MmapMarker, Record,
    RecordType, SampleId, SampleVersion, Tombstone, encode_exemplars, encode_float_histograms,
    encode_histograms, encode_metadata, encode_mmap_markers, encode_samples, encode_series,
    encode_tombstones,
};
use crate::tombstones::Interval;

#[test]
fn records_are_those_of_prometheus_to_the_byte() {
    let file = golden("records.bin", include_bytes!("../../../tests/golden/records.bin"));
    let mut vectors = Vectors(&file);
    let mut seen = Seen::default();
    let mut case = 0;
    while !vectors.is_at_end() {
        run_case(&format!("case {case}"), &mut vectors, &mut seen);
        case += 1;
    }
    let all: BTreeSet<RecordType> = RecordType::ALL.into_iter().collect();
    assert_eq!(seen.types, all);
    assert!(seen.skipped > 0 && seen.reduced > 0 && seen.split > 0 && seen.custom_only > 0);
}

/// What the vectors had.
#[derive(Default)]
struct Seen {
    types: BTreeSet<RecordType>,
    skipped: u64,
    reduced: usize,
    /// Lists of histograms with exponential and with custom buckets.
    split: usize,
    custom_only: usize,
}

fn run_case(case: &str, vectors: &mut Vectors<'_>, seen: &mut Seen) {
    let kind = RecordType::from_byte(vectors.byte()).unwrap();
    let version = if vectors.byte() == 1 { SampleVersion::V2 } else { SampleVersion::V1 };
    match kind {
        RecordType::Series => series_case(case, vectors, seen),
        RecordType::Samples => samples_case(case, vectors, version, seen),
        RecordType::Tombstones => tombstones_case(case, vectors, seen),
        RecordType::Exemplars => exemplars_case(case, vectors, seen),
        RecordType::MmapMarkers => mmap_markers_case(case, vectors, seen),
        RecordType::Metadata => metadata_case(case, vectors, seen),
        RecordType::Histograms => histograms_case(case, vectors, version, seen),
        RecordType::FloatHistograms => float_histograms_case(case, vectors, version, seen),
        other => panic!("{case}: {other:?}"),
    }
}

fn list<T>(vectors: &mut Vectors<'_>, each: impl Fn(&mut Vectors<'_>) -> T) -> Vec<T> {
    (0..vectors.uint()).map(|_| each(vectors)).collect()
}

fn labels(vectors: &mut Vectors<'_>) -> Labels {
    list(vectors, |v| (v.text(), v.text())).into_iter().collect()
}

fn series_ref(vectors: &mut Vectors<'_>) -> HeadSeriesRef {
    vectors.uint().into()
}

fn sample_id(vectors: &mut Vectors<'_>) -> SampleId {
    let (series_ref, start, time) = (vectors.uint(), vectors.int(), vectors.int());
    SampleId::new(series_ref, time).with_start(start)
}

/// The records that `encoded` has to be; empty ones are none.
fn wanted(case: &str, vectors: &mut Vectors<'_>, encoded: &[&[u8]], seen: &mut Seen) {
    let want: Vec<Vec<u8>> = list(vectors, |v| v.blob().to_vec());
    let got: Vec<Vec<u8>> =
        encoded.iter().filter(|record| !record.is_empty()).map(|record| record.to_vec()).collect();
    assert_eq!(got, want, "{case}: bytes");
    seen.types.extend(want.iter().filter_map(|record| RecordType::from_byte(record[0])));
}

macro_rules! read_back {
    ($record:expr, $variant:ident) => {{
        let Record::$variant(entries) = Record::decode($record).unwrap() else {
            panic!("not {}", stringify!($variant))
        };
        entries.map(Result::unwrap)
    }};
}

fn series_case(case: &str, vectors: &mut Vectors<'_>, seen: &mut Seen) {
    let series = list(vectors, |v| (series_ref(v), labels(v)));
    let mut out = Vec::new();
    let pairs =
        series.iter().map(|(series_ref, set)| (*series_ref, set.iter().collect::<Vec<_>>()));
    encode_series(&mut out, pairs);
    wanted(case, vectors, &[&out], seen);
    let read: Vec<(HeadSeriesRef, Labels)> = read_back!(&out, Series)
        .inspect(|entry| assert_eq!(entry.labels.iter().count(), entry.labels.len()))
        .map(|entry| (entry.series_ref, entry.labels.into_iter().collect()))
        .collect();
    assert_eq!(read, series, "{case}");
}

fn samples_case(case: &str, vectors: &mut Vectors<'_>, version: SampleVersion, seen: &mut Seen) {
    let samples = list(vectors, |v| FloatSample { id: sample_id(v), value: v.float() });
    let mut out = Vec::new();
    encode_samples(&mut out, version, samples.iter().copied());
    wanted(case, vectors, &[&out], seen);
    let bits = |sample: FloatSample| (sample.id, sample.value.to_bits());
    let read: Vec<_> = read_back!(&out, Samples).map(bits).collect();
    let want: Vec<_> = samples
        .into_iter()
        .map(|sample| bits(FloatSample { id: stored(sample.id, version), ..sample }))
        .collect();
    assert_eq!(read, want, "{case}");
}

/// What is left of an identity in this version.
fn stored(id: SampleId, version: SampleVersion) -> SampleId {
    match version {
        SampleVersion::V1 => id.with_start(0),
        SampleVersion::V2 => id,
    }
}

fn tombstones_case(case: &str, vectors: &mut Vectors<'_>, seen: &mut Seen) {
    let stones = list(vectors, |v| Tombstone {
        series_ref: series_ref(v),
        interval: Interval { min: v.int(), max: v.int() },
    });
    let mut out = Vec::new();
    encode_tombstones(&mut out, stones.iter().copied());
    wanted(case, vectors, &[&out], seen);
    assert_eq!(read_back!(&out, Tombstones).collect::<Vec<_>>(), stones, "{case}");
}

fn exemplars_case(case: &str, vectors: &mut Vectors<'_>, seen: &mut Seen) {
    let exemplars = list(vectors, |v| Exemplar {
        series_ref: series_ref(v),
        timestamp_ms: v.int(),
        value: v.float(),
        labels: labels(v),
    });
    let mut out = Vec::new();
    encode_exemplars(
        &mut out,
        exemplars.iter().map(|e| Exemplar {
            series_ref: e.series_ref,
            timestamp_ms: e.timestamp_ms,
            value: e.value,
            labels: e.labels.iter().collect::<Vec<_>>(),
        }),
    );
    wanted(case, vectors, &[&out], seen);
    let read: Vec<_> = read_back!(&out, Exemplars)
        .map(|e| {
            let labels: Labels = e.labels.into_iter().collect();
            (e.series_ref, e.timestamp_ms, e.value.to_bits(), labels)
        })
        .collect();
    let want: Vec<_> = exemplars
        .into_iter()
        .map(|e| (e.series_ref, e.timestamp_ms, e.value.to_bits(), e.labels))
        .collect();
    assert_eq!(read, want, "{case}");
}

fn mmap_markers_case(case: &str, vectors: &mut Vectors<'_>, seen: &mut Seen) {
    let markers =
        list(vectors, |v| MmapMarker { series_ref: series_ref(v), chunk_ref: v.uint().into() });
    let mut out = Vec::new();
    encode_mmap_markers(&mut out, markers.iter().copied());
    wanted(case, vectors, &[&out], seen);
    assert_eq!(read_back!(&out, MmapMarkers).collect::<Vec<_>>(), markers, "{case}");
}

fn metadata_case(case: &str, vectors: &mut Vectors<'_>, seen: &mut Seen) {
    let entries =
        list(vectors, |v| (series_ref(v), MetricType::from_byte(v.byte()), v.text(), v.text()));
    let entries: Vec<MetadataEntry<'_>> = entries
        .iter()
        .map(|(series_ref, metric_type, unit, help)| MetadataEntry {
            series_ref: *series_ref,
            metric_type: *metric_type,
            unit,
            help,
        })
        .collect();
    let mut out = Vec::new();
    encode_metadata(&mut out, entries.iter().copied());
    wanted(case, vectors, &[&out], seen);
    assert_eq!(read_back!(&out, Metadata).collect::<Vec<_>>(), entries, "{case}");
}

/// Bit for bit, so that NaN equals itself.
fn bits(histogram: &impl Debug, floats: &[f64]) -> String {
    let floats: Vec<u64> = floats.iter().map(|float| float.to_bits()).collect();
    format!("{histogram:?} {floats:x?}")
}

fn int_bits(id: SampleId, h: &Histogram) -> (SampleId, String) {
    (id, bits(h, &[h.sum, h.zero_threshold]))
}

fn float_bits(id: SampleId, h: &FloatHistogram) -> (SampleId, String) {
    (id, bits(h, &[h.sum, h.zero_threshold, h.count, h.zero_count]))
}

fn histograms_case(case: &str, vectors: &mut Vectors<'_>, version: SampleVersion, seen: &mut Seen) {
    let given = list(vectors, |v| (sample_id(v), v.int_histogram()));
    let (mut record, mut custom) = (Vec::new(), Vec::new());
    encode_histograms(&mut record, &mut custom, version, given.iter().map(|(id, h)| (*id, h)));
    wanted(case, vectors, &[&record, &custom], seen);
    seen.split += usize::from(!record.is_empty() && !custom.is_empty());
    seen.custom_only += usize::from(record.is_empty());
    seen.reduced += given.iter().filter(|(_, h)| (9..53).contains(&h.schema)).count();

    let want = list(vectors, |v| (sample_id(v), v.int_histogram()));
    let mut read = Vec::new();
    let mut reused = Histogram::default();
    for record in [&record, &custom].into_iter().filter(|record| !record.is_empty()) {
        let Record::Histograms(mut histograms) = Record::decode(record).unwrap() else {
            panic!("{case}: not histograms")
        };
        while let Some(id) = histograms.next(&mut reused).unwrap() {
            read.push(int_bits(id, &reused));
        }
        seen.skipped += histograms.skipped();
    }
    let want: Vec<_> = want.iter().map(|(id, h)| int_bits(*id, h)).collect();
    assert_eq!(read, want, "{case}");
}

fn float_histograms_case(
    case: &str,
    vectors: &mut Vectors<'_>,
    version: SampleVersion,
    seen: &mut Seen,
) {
    let given = list(vectors, |v| (sample_id(v), v.float_histogram()));
    let (mut record, mut custom) = (Vec::new(), Vec::new());
    let each = given.iter().map(|(id, h)| (*id, h));
    encode_float_histograms(&mut record, &mut custom, version, each);
    wanted(case, vectors, &[&record, &custom], seen);

    let want = list(vectors, |v| (sample_id(v), v.float_histogram()));
    let mut read = Vec::new();
    let mut reused = FloatHistogram::default();
    for record in [&record, &custom].into_iter().filter(|record| !record.is_empty()) {
        let Record::FloatHistograms(mut histograms) = Record::decode(record).unwrap() else {
            panic!("{case}: not float histograms")
        };
        while let Some(id) = histograms.next(&mut reused).unwrap() {
            read.push(float_bits(id, &reused));
        }
        seen.skipped += histograms.skipped();
    }
    let want: Vec<_> = want.iter().map(|(id, h)| float_bits(*id, h)).collect();
    assert_eq!(read, want, "{case}");
}
