//! A digest of everything that a query finds, as `judge digest-dir` and a program's `state` print it.
//!
//! The canonical record of a sample stands in `testdata/judge/internal/digest/canonical.go`.

use std::collections::BTreeMap;

use tsdb::head::{Exemplar, Head};
use tsdb::query::{Querier, QueryError, Samples, TimeRange, ValueType};
use tsdb_format::chunkenc::{CounterResetHint, FloatHistogram, Histogram, Span, SparseHistogram};
use tsdb_format::labels::Labels;

/// A line for each series that has samples: CRC-32C of the records, samples, first and last time,
/// labels.
pub(crate) fn lines(querier: &Querier<'_>) -> Result<Vec<String>, QueryError> {
    let mut found = querier.select(&[], TimeRange::ALL)?;
    let (mut samples, mut record, mut lines) = (Samples::new(), Vec::new(), Vec::new());
    while let Some(series) = found.next()? {
        series.samples(&mut samples);
        let (mut crc, mut count, mut first, mut last) = (0, 0, 0, 0);
        while let Some(kind) = samples.next()? {
            last = samples.timestamp();
            if count == 0 {
                first = last;
            }
            count += 1;
            record.clear();
            canonical(&mut record, &samples, kind);
            crc = crc32c::crc32c_append(crc, &record);
        }
        if count > 0 {
            lines.push(format!("{crc:08x} {count} {first} {last} {}", series.owned_labels()));
        }
    }
    Ok(lines)
}

/// A line for each series that has exemplars: CRC-32C of them as text, how many, labels.
pub(crate) fn exemplars(head: &Head) -> Vec<String> {
    let mut series: BTreeMap<Labels, Vec<(i64, String)>> = BTreeMap::new();
    head.exemplars(|labels, exemplar| {
        let Exemplar { labels: own, value, time } = exemplar;
        let text = format!("{time} {:016x} {own}\n", value.to_bits());
        series.entry(labels.clone()).or_default().push((*time, text));
    });
    let line = |(labels, mut list): (Labels, Vec<(i64, String)>)| {
        list.sort_by_key(|(time, _)| *time);
        let text: String = list.iter().map(|(_, text)| text.as_str()).collect();
        format!("exemplars {:08x} {} {labels}", crc32c::crc32c(text.as_bytes()), list.len())
    };
    series.into_iter().map(line).collect()
}

fn canonical(out: &mut Vec<u8>, samples: &Samples<'_>, kind: ValueType) {
    let (st, t) = (samples.start_timestamp(), samples.timestamp());
    let tag = match kind {
        ValueType::Float => 1,
        ValueType::Histogram => 2,
        ValueType::FloatHistogram => 3,
    };
    out.push(tag);
    out.extend(st.to_be_bytes());
    out.extend(t.to_be_bytes());
    match (samples.histogram(), samples.float_histogram()) {
        (Some(h), _) => integer(out, h),
        (_, Some(h)) => float(out, h),
        _ => out.extend(samples.float().to_bits().to_be_bytes()),
    }
}

fn integer(out: &mut Vec<u8>, h: &Histogram) {
    whole(out, h, |n| *n, |last, delta| last.wrapping_add(*delta as u64), |count| count == 0);
}

fn float(out: &mut Vec<u8>, h: &FloatHistogram) {
    whole(out, h, |n| n.to_bits(), |_, n| n.to_bits(), |bits| f64::from_bits(bits) == 0.0);
}

fn whole<Count, Bucket>(
    out: &mut Vec<u8>,
    h: &SparseHistogram<Count, Bucket>,
    bits: impl Fn(&Count) -> u64,
    next: impl Fn(u64, &Bucket) -> u64,
    is_empty: impl Fn(u64) -> bool,
) {
    out.extend(h.sum.to_bits().to_be_bytes());
    if h.is_stale() {
        return;
    }
    out.push(u8::from(h.counter_reset_hint == CounterResetHint::Gauge));
    out.extend(h.schema.to_be_bytes());
    out.extend(h.zero_threshold.to_bits().to_be_bytes());
    out.extend(bits(&h.zero_count).to_be_bytes());
    out.extend(bits(&h.count).to_be_bytes());
    let mut side = |spans: &[Span], buckets: &[Bucket]| {
        let at = out.len();
        out.extend([0; 4]);
        let (mut kept, mut index, mut last, mut buckets) = (0u32, 0i32, 0, buckets.iter());
        for span in spans {
            index += span.offset;
            for bucket in buckets.by_ref().take(span.length as usize) {
                last = next(last, bucket);
                if !is_empty(last) {
                    kept += 1;
                    out.extend(index.to_be_bytes());
                    out.extend(last.to_be_bytes());
                }
                index += 1;
            }
        }
        out[at..at + 4].copy_from_slice(&kept.to_be_bytes());
    };
    side(&h.positive_spans, &h.positive_buckets);
    side(&h.negative_spans, &h.negative_buckets);
    out.extend((h.custom_values.len() as u32).to_be_bytes());
    for value in &h.custom_values {
        out.extend(value.to_bits().to_be_bytes());
    }
}
