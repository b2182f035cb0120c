//! The layout in front of a histogram chunk's first sample.
//!
//! ```text
//! | zero threshold | schema, varbit | positive spans | negative spans | custom bounds |
//!
//! zero threshold  0                      0
//!                 1 to 254               2^(byte - 244)
//!                 255 | float, 64 bits   all others
//! spans           unsigned varbit count | count x (unsigned varbit length, varbit offset)
//! custom bounds   only for schema -53: unsigned varbit count | count x bound
//! bound           unsigned varbit 1000 x bound + 1      0 ..= 33554.430, whole in thousandths
//!                 0 | float, 64 bits                    all others
//! ```

use super::super::bits::{BitReader, BitWriter, PutBits};
use super::super::varbit;
use super::value::{
    CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX_RESERVED, EXPONENTIAL_SCHEMA_MIN_RESERVED, Span,
};
use crate::{DecodeError, DecodeErrorKind, Quantity, Rule};

/// The raw form of a zero threshold follows.
const THRESHOLD_RAW: u8 = 255;
/// Zero threshold byte = binary exponent + this.
const THRESHOLD_EXPONENT_BIAS: i32 = 244;
/// The largest bound, in thousandths, that is not stored as a float.
const BOUND_THOUSANDTHS_MAX: f64 = 33_554_430.0;
/// A span takes at least this many bits: a varbit each for length and offset.
const SPAN_BITS_MIN: u64 = 2;
/// A custom bound takes at least this many bits.
const BOUND_BITS_MIN: u64 = 5;

/// Which buckets the samples of a chunk have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) positive_spans: Vec<Span>,
    pub(crate) negative_spans: Vec<Span>,
    pub(crate) custom_values: Vec<f64>,
}

impl Layout {
    /// Back to no buckets, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.schema = 0;
        self.zero_threshold = 0.0;
        self.positive_spans.clear();
        self.negative_spans.clear();
        self.custom_values.clear();
    }

    pub(crate) fn write(&self, writer: &mut BitWriter) {
        put_zero_threshold(writer, self.zero_threshold);
        varbit::put_int(writer, i64::from(self.schema));
        put_spans(writer, &self.positive_spans);
        put_spans(writer, &self.negative_spans);
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            varbit::put_uint(writer, self.custom_values.len() as u64);
            for &bound in &self.custom_values {
                put_bound(writer, bound);
            }
        }
    }

    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        self.clear();
        self.zero_threshold = read_zero_threshold(reader)?;
        let schema = varbit::read_int(reader)?;
        let known = Some(schema).filter(|schema| is_known_schema(*schema));
        self.schema = known
            .and_then(|schema| i32::try_from(schema).ok())
            .ok_or_else(|| reader.malformed(Rule::HistogramSchema))?;
        read_spans(reader, &mut self.positive_spans)?;
        read_spans(reader, &mut self.negative_spans)?;
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            let count = varbit::read_uint(reader)?;
            limit(reader, Quantity::CustomBounds, count, BOUND_BITS_MIN)?;
            for _ in 0..count {
                self.custom_values.push(read_bound(reader)?);
            }
        }
        Ok(())
    }
}

/// Whether a chunk may hold `schema`.
pub(crate) fn is_known_schema(schema: i64) -> bool {
    let (min, max) = (EXPONENTIAL_SCHEMA_MIN_RESERVED, EXPONENTIAL_SCHEMA_MAX_RESERVED);
    schema == i64::from(CUSTOM_BUCKETS_SCHEMA) || (min.into()..=max.into()).contains(&schema)
}

/// The number of buckets in `spans`.
pub(crate) fn bucket_count(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

/// Refuses `count` things of `bits_min` bits each if the input can't hold them.
pub(crate) fn limit(
    reader: &BitReader<'_>,
    what: Quantity,
    count: u64,
    bits_min: u64,
) -> Result<(), DecodeError> {
    let limit = reader.bits_left() / bits_min;
    if count > limit {
        return Err(reader.error(DecodeErrorKind::TooLarge { what, found: count, limit }));
    }
    Ok(())
}

fn put_spans(writer: &mut BitWriter, spans: &[Span]) {
    varbit::put_uint(writer, spans.len() as u64);
    for span in spans {
        varbit::put_uint(writer, u64::from(span.length));
        varbit::put_int(writer, i64::from(span.offset));
    }
}

fn read_spans(reader: &mut BitReader<'_>, spans: &mut Vec<Span>) -> Result<(), DecodeError> {
    let count = varbit::read_uint(reader)?;
    limit(reader, Quantity::Spans, count, SPAN_BITS_MIN)?;
    for _ in 0..count {
        let length = u32::try_from(varbit::read_uint(reader)?)
            .map_err(|_| reader.malformed(Rule::SpanLengthWidth))?;
        let offset = i32::try_from(varbit::read_int(reader)?)
            .map_err(|_| reader.malformed(Rule::SpanOffsetWidth))?;
        spans.push(Span { offset, length });
    }
    Ok(())
}

fn put_zero_threshold(writer: &mut BitWriter, threshold: f64) {
    if threshold == 0.0 {
        writer.put(0, 8);
        return;
    }
    let bits = threshold.to_bits();
    // For a positive power of two the bits are the biased exponent alone; subnormal numbers are
    // far below the range of the short form.
    let exponent = (bits >> 52) as i32 - 1023;
    let byte = exponent + THRESHOLD_EXPONENT_BIAS;
    if bits << 12 == 0 && (1..i32::from(THRESHOLD_RAW)).contains(&byte) {
        writer.put(byte as u64, 8);
    } else {
        writer.put(u64::from(THRESHOLD_RAW), 8);
        writer.put(bits, 64);
    }
}

fn read_zero_threshold(reader: &mut BitReader<'_>) -> Result<f64, DecodeError> {
    let bits = match reader.take_byte() {
        0 => 0,
        THRESHOLD_RAW => reader.take_wide(64),
        byte => ((i32::from(byte) - THRESHOLD_EXPONENT_BIAS + 1023) as u64) << 52,
    };
    reader.check()?;
    Ok(f64::from_bits(bits))
}

fn put_bound(writer: &mut BitWriter, bound: f64) {
    let thousandths = bound * 1000.0;
    let whole = thousandths.round();
    if (0.0..=BOUND_THOUSANDTHS_MAX).contains(&thousandths) && whole / 1000.0 == bound {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number in the range above")]
        let code = whole as u64 + 1;
        varbit::put_uint(writer, code);
    } else {
        writer.put(0, 1);
        writer.put(bound.to_bits(), 64);
    }
}

fn read_bound(reader: &mut BitReader<'_>) -> Result<f64, DecodeError> {
    let code = varbit::read_uint(reader)?;
    if code == 0 {
        let bits = reader.take_wide(64);
        reader.check()?;
        return Ok(f64::from_bits(bits));
    }
    #[expect(clippy::cast_precision_loss, reason = "the format's numbers are far below 2^53")]
    let thousandths = (code - 1) as f64;
    Ok(thousandths / 1000.0)
}
