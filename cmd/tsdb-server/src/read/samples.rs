//! The answer as samples: one message, compressed whole.
//!
//! ```text
//!   response  1 result*, one for each query
//!   result    1 series*
//!   series    1 label*  2 float*  4 histogram*
//!   float     1 value  2 timestamp
//! ```
//!
//! Histograms are written as they are read by remote write.

use tsdb::db::Db;
use tsdb::query::{CounterResetHint, Samples, Series, SparseHistogram, ValueType};
use tsdb_format::chunkenc::Span;

use super::error::ReadError;
use super::request::ReadQuery;
use crate::protobuf::Writer;

/// The whole answer, compressed; blocks.
pub(super) fn answer(
    db: &Db,
    queries: &[ReadQuery],
    samples_max: u64,
) -> Result<Vec<u8>, ReadError> {
    let (mut writer, mut count) = (Writer::new(), 0);
    for query in queries {
        let mut outcome = Ok(());
        let counted = (&mut count, samples_max);
        writer.message(1, |result| {
            outcome = write_result(db, query, counted, result);
        });
        outcome?;
    }
    Ok(snap::raw::Encoder::new().compress_vec(writer.bytes())?)
}

fn write_result(
    db: &Db,
    query: &ReadQuery,
    (count, max): (&mut u64, u64),
    result: &mut Writer,
) -> Result<(), ReadError> {
    let querier = db.querier(query.range)?;
    let mut found = querier.select(&query.matchers)?;
    let mut samples = Samples::new();
    let mut series_writer = Writer::new();
    while let Some(series) = found.next()? {
        series_writer.clear();
        let before = *count;
        write_series(&series, &mut samples, &mut series_writer, (count, max))?;
        if *count > before {
            result.raw(1, series_writer.bytes());
        }
    }
    Ok(())
}

fn write_series<'b>(
    series: &Series<'_, 'b>,
    samples: &mut Samples<'b>,
    writer: &mut Writer,
    (count, max): (&mut u64, u64),
) -> Result<(), ReadError> {
    for (name, value) in series.labels() {
        writer.message(1, |label| {
            label.string(1, name);
            label.string(2, value);
        });
    }
    series.samples(samples);
    while let Some(kind) = samples.next()? {
        *count += 1;
        if max > 0 && *count > max {
            return Err(ReadError::Samples { max });
        }
        match kind {
            ValueType::Float => writer.message(2, |sample| {
                sample.double(1, samples.float());
                sample.int64(2, samples.timestamp());
            }),
            ValueType::Histogram | ValueType::FloatHistogram => {
                writer.message(4, |message| write_histogram(samples, message));
            }
        }
    }
    Ok(())
}

fn write_histogram(samples: &Samples<'_>, message: &mut Writer) {
    if let Some(histogram) = samples.histogram() {
        message.uint64_always(1, histogram.count);
        write_common(histogram, message);
        message.uint64_always(6, histogram.zero_count);
        message.sint64s(9, &histogram.negative_buckets);
        message.sint64s(12, &histogram.positive_buckets);
    } else if let Some(histogram) = samples.float_histogram() {
        message.double_always(2, histogram.count);
        write_common(histogram, message);
        message.double_always(7, histogram.zero_count);
        message.doubles(10, &histogram.negative_buckets);
        message.doubles(13, &histogram.positive_buckets);
    }
    message.uint64(14, reset_hint(samples.counter_reset_hint()));
    message.int64(15, samples.timestamp());
}

/// What both kinds have.
fn write_common<C, B>(histogram: &SparseHistogram<C, B>, message: &mut Writer) {
    message.double(3, histogram.sum);
    message.sint32(4, histogram.schema);
    message.double(5, histogram.zero_threshold);
    write_spans(8, &histogram.negative_spans, message);
    write_spans(11, &histogram.positive_spans, message);
    message.doubles(16, &histogram.custom_values);
}

fn write_spans(number: u32, spans: &[Span], message: &mut Writer) {
    for span in spans {
        message.message(number, |message| {
            message.sint32(1, span.offset);
            message.uint64(2, u64::from(span.length));
        });
    }
}

fn reset_hint(hint: CounterResetHint) -> u64 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    }
}
