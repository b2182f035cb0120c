//! Native histograms as they are sent: 1.0 and 2.0 have the same fields.
//!
//! ```text
//!    1 count, int     6 zero count, int     8 negative spans    11 positive spans   14 reset hint
//!    2 count, float   7 zero count, float   9 negative deltas   12 positive deltas  15 timestamp
//!    3 sum  4 schema  5 zero threshold     10 negative counts   13 positive counts  16 bounds
//!                                                                                   17 start (2.0)
//! ```

use std::mem::swap;

use tsdb::query::{CounterResetHint, FloatHistogram, Histogram};
use tsdb_format::chunkenc::Span;

use crate::protobuf::{Fields, WireError};

/// More buckets or spans than this are refused: each takes more memory than bytes of the request.
const BUCKETS_MAX: usize = 1 << 16;

/// A histogram and when it was taken. Used again for each.
#[derive(Debug, Default)]
pub(super) struct HistogramMessage {
    pub(super) timestamp_ms: i64,
    pub(super) start_ms: i64,
    is_float: bool,
    is_too_long: bool,
    int: Histogram,
    float: FloatHistogram,
    /// As they were sent, where the resolution was too high.
    fine: (Histogram, FloatHistogram),
    counts: Counts,
    sides: [Side; 2],
}

/// Counts of either kind; the last one that is sent says which kind it is.
#[derive(Debug, Default)]
struct Counts {
    int: (u64, u64),
    float: (f64, f64),
}

/// Negative or positive buckets.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// A histogram of one of the kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind<'h> {
    Int(&'h Histogram),
    Float(&'h FloatHistogram),
}

impl HistogramMessage {
    /// Reads a message in place of the one before.
    ///
    /// # Errors
    /// It is no such message.
    pub(super) fn read(&mut self, mut fields: Fields<'_>) -> Result<(), WireError> {
        self.clear();
        let (mut schema, mut sum, mut zero_threshold) = (0, 0.0, 0.0);
        let mut hint = CounterResetHint::Unknown;
        while let Some(field) = fields.next()? {
            let [negative, positive] = &mut self.sides;
            match field.number {
                1 => (self.counts.int.0, self.is_float) = (field.uint64()?, false),
                2 => (self.counts.float.0, self.is_float) = (field.double()?, true),
                3 => sum = field.double()?,
                4 => schema = field.sint32()?,
                5 => zero_threshold = field.double()?,
                6 => self.counts.int.1 = field.uint64()?,
                7 => self.counts.float.1 = field.double()?,
                8 => self.is_too_long |= negative.span(field.message()?)?,
                9 => {
                    field.sint64s(|delta| self.is_too_long |= push(&mut negative.deltas, delta))?
                }
                10 => {
                    field.doubles(|count| self.is_too_long |= push(&mut negative.counts, count))?
                }
                11 => self.is_too_long |= positive.span(field.message()?)?,
                12 => {
                    field.sint64s(|delta| self.is_too_long |= push(&mut positive.deltas, delta))?
                }
                13 => {
                    field.doubles(|count| self.is_too_long |= push(&mut positive.counts, count))?
                }
                14 => hint = reset_hint(field.uint64()?),
                15 => self.timestamp_ms = field.int64()?,
                16 => {
                    let bounds = &mut self.int.custom_values;
                    field.doubles(|bound| self.is_too_long |= push(bounds, bound))?;
                }
                17 => self.start_ms = field.int64()?,
                _ => {}
            }
        }
        self.fill(schema, sum, zero_threshold, hint);
        Ok(())
    }

    /// The histogram; `None` if it has more buckets than anybody needs.
    pub(super) fn kind(&self) -> Option<Kind<'_>> {
        match (self.is_too_long, self.is_float) {
            (true, _) => None,
            (false, true) => Some(Kind::Float(&self.float)),
            (false, false) => Some(Kind::Int(&self.int)),
        }
    }

    fn clear(&mut self) {
        (self.timestamp_ms, self.start_ms) = (0, 0);
        (self.is_float, self.is_too_long) = (false, false);
        self.counts = Counts::default();
        self.int.custom_values.clear();
        for side in &mut self.sides {
            side.spans.clear();
            side.deltas.clear();
            side.counts.clear();
        }
    }

    /// Moves what was read into the histogram of its kind. Buffers change places, so that none is
    /// made anew.
    fn fill(&mut self, schema: i32, sum: f64, zero_threshold: f64, hint: CounterResetHint) {
        let Self { int, float, fine, counts, sides: [negative, positive], is_float, .. } = self;
        if *is_float {
            (float.schema, float.sum, float.zero_threshold) = (schema, sum, zero_threshold);
            (float.counter_reset_hint, float.count, float.zero_count) =
                (hint, counts.float.0, counts.float.1);
            swap(&mut float.negative_spans, &mut negative.spans);
            swap(&mut float.positive_spans, &mut positive.spans);
            swap(&mut float.negative_buckets, &mut negative.counts);
            swap(&mut float.positive_buckets, &mut positive.counts);
            swap(&mut float.custom_values, &mut int.custom_values);
            if float.reduce_resolution(&mut fine.1) {
                swap(float, &mut fine.1);
            }
        } else {
            (int.schema, int.sum, int.zero_threshold) = (schema, sum, zero_threshold);
            (int.counter_reset_hint, int.count, int.zero_count) =
                (hint, counts.int.0, counts.int.1);
            swap(&mut int.negative_spans, &mut negative.spans);
            swap(&mut int.positive_spans, &mut positive.spans);
            swap(&mut int.negative_buckets, &mut negative.deltas);
            swap(&mut int.positive_buckets, &mut positive.deltas);
            if int.reduce_resolution(&mut fine.0) {
                swap(int, &mut fine.0);
            }
        }
    }
}

impl Side {
    /// Reads a span; whether there are too many.
    fn span(&mut self, mut fields: Fields<'_>) -> Result<bool, WireError> {
        let mut span = Span::default();
        while let Some(field) = fields.next()? {
            match field.number {
                1 => span.offset = field.sint32()?,
                2 => span.length = field.uint32()?,
                _ => {}
            }
        }
        Ok(push(&mut self.spans, span))
    }
}

/// Adds one; whether there are too many.
fn push<T>(values: &mut Vec<T>, value: T) -> bool {
    let is_full = values.len() == BUCKETS_MAX;
    if !is_full {
        values.push(value);
    }
    is_full
}

fn reset_hint(hint: u64) -> CounterResetHint {
    match hint {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}
