//! Records of the write-ahead log.

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{FloatHistogram, Histogram};
use tsdb_format::record::{
    Record, RecordType, SampleId, SampleVersion, encode_exemplars, encode_float_histograms,
    encode_histograms, encode_metadata, encode_mmap_markers, encode_samples, encode_series,
    encode_tombstones,
};

/// Reads `data`, writes what was read, and reads that: from then on bytes and entries stay. Of a list
/// that was split the records keep the base of the whole list; alone, each gets one of its own.
pub(super) fn check(data: &[u8]) {
    let Some(&byte) = data.first() else { return };
    let Some(record_type) = RecordType::from_byte(byte) else {
        assert!(matches!(Record::decode(data), Ok(Record::Unknown(Some(found))) if found == byte));
        return;
    };
    let once = match rewritten(record_type, data) {
        Ok(records) => records,
        Err(error) => {
            assert!(error.offset_bytes <= data.len() as u64, "{error} of {}", data.len());
            return;
        }
    };
    for record in once.iter().filter(|record| !record.is_empty()) {
        let record_type = RecordType::from_byte(record[0]).expect("a type that was written");
        let mut before = record.clone();
        if once.iter().all(|record| !record.is_empty()) {
            let [out, custom] = rewritten(record_type, record).expect("what was written is read");
            assert!(out.is_empty() != custom.is_empty(), "{record_type:?}: it is split no further");
            before = if out.is_empty() { custom } else { out };
        }
        let after = rewritten(record_type, &before).expect("what was written is read");
        assert!(after.contains(&before), "{record_type:?}: written again, it is the same");
    }
}

/// The record's entries, encoded: a record, and one of custom buckets if there are such.
fn rewritten(record_type: RecordType, record: &[u8]) -> Result<[Vec<u8>; 2], DecodeError> {
    let version = match record_type {
        RecordType::SamplesV2 | RecordType::HistogramsV2 | RecordType::FloatHistogramsV2 => {
            SampleVersion::V2
        }
        _ => SampleVersion::V1,
    };
    let (mut out, mut custom) = (Vec::new(), Vec::new());
    match Record::decode(record)? {
        Record::Series(entries) => {
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            encode_series(
                &mut out,
                entries.iter().map(|entry| {
                    let pairs: Vec<_> = entry.labels.into_iter().collect();
                    assert_eq!(pairs.len(), entry.labels.len());
                    (entry.series_ref, pairs)
                }),
            );
        }
        Record::Samples(samples) => {
            encode_samples(&mut out, version, samples.collect::<Result<Vec<_>, _>>()?);
        }
        Record::Tombstones(stones) => {
            encode_tombstones(&mut out, stones.collect::<Result<Vec<_>, _>>()?);
        }
        Record::Exemplars(exemplars) => {
            let exemplars = exemplars.collect::<Result<Vec<_>, _>>()?;
            encode_exemplars(
                &mut out,
                exemplars.into_iter().map(|exemplar| {
                    let labels: Vec<_> = exemplar.labels.into_iter().collect();
                    tsdb_format::record::Exemplar {
                        series_ref: exemplar.series_ref,
                        timestamp_ms: exemplar.timestamp_ms,
                        value: exemplar.value,
                        labels,
                    }
                }),
            );
        }
        Record::MmapMarkers(markers) => {
            encode_mmap_markers(&mut out, markers.collect::<Result<Vec<_>, _>>()?);
        }
        Record::Metadata(entries) => {
            encode_metadata(&mut out, entries.collect::<Result<Vec<_>, _>>()?);
        }
        Record::Histograms(mut histograms) => {
            let mut read: Vec<(SampleId, Histogram)> = Vec::new();
            let mut reused = Histogram::default();
            while let Some(id) = histograms.next(&mut reused)? {
                read.push((id, reused.clone()));
            }
            let read = read.iter().map(|(id, histogram)| (*id, histogram));
            encode_histograms(&mut out, &mut custom, version, read);
        }
        Record::FloatHistograms(mut histograms) => {
            let mut read: Vec<(SampleId, FloatHistogram)> = Vec::new();
            let mut reused = FloatHistogram::default();
            while let Some(id) = histograms.next(&mut reused)? {
                read.push((id, reused.clone()));
            }
            let read = read.iter().map(|(id, histogram)| (*id, histogram));
            encode_float_histograms(&mut out, &mut custom, version, read);
        }
        other => panic!("{record_type:?} is read as {other:?}"),
    }
    Ok([out, custom])
}
