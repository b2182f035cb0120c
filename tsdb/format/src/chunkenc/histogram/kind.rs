//! What differs between integer and float counts.

use std::fmt::Debug;

use super::super::bits::{BitReader, BitWriter, PutBits};
use super::super::varbit;
use super::super::xor_value::XorValue;
use super::value::CounterResetHeader;
use crate::DecodeError;

/// Integer or float counts: how a field is coded, and what its numbers are.
pub(crate) trait Kind: Debug + Clone + Default {
    /// Count and zero count.
    type Count: Copy + Debug + Default + PartialEq + PartialOrd;
    /// A bucket as it is stored.
    type Bucket: Copy + Debug + Default + PartialEq + PartialOrd;
    /// A field between two samples: its number and what its code depends on.
    type Field: Copy + Debug + Default;
    /// The least number of bits that a bucket of sample 0 takes.
    const FIRST_BUCKET_BITS_MIN: u64;
    /// The header of the chunk that a counter starts behind a gauge chunk. (3.15 tells "no reset"
    /// from "unknown" only for integer counts.)
    const HEADER_AFTER_GAUGE: CounterResetHeader;
    /// The header of a chunk continued from one that its first sample can't be compared with.
    const HEADER_AFTER_UNKNOWN: CounterResetHeader;

    fn put_first_count(writer: &mut BitWriter, count: Self::Count) -> Self::Field;
    fn put_first_bucket(writer: &mut BitWriter, bucket: Self::Bucket) -> Self::Field;
    fn put_count(writer: &mut BitWriter, field: &mut Self::Field, count: Self::Count);
    fn put_bucket(writer: &mut BitWriter, field: &mut Self::Field, bucket: Self::Bucket);
    /// A count of a stale marker past sample 0.
    fn put_stale_count(writer: &mut BitWriter, field: &mut Self::Field);

    fn read_first_count(reader: &mut BitReader<'_>) -> Result<Self::Field, DecodeError>;
    fn read_first_bucket(reader: &mut BitReader<'_>) -> Result<Self::Field, DecodeError>;
    fn read(reader: &mut BitReader<'_>, field: &mut Self::Field) -> Result<(), DecodeError>;

    fn count(field: &Self::Field) -> Self::Count;
    fn bucket(field: &Self::Field) -> Self::Bucket;

    /// The count of a bucket, given the count of the one before it.
    fn absolute(previous: Self::Bucket, bucket: Self::Bucket) -> Self::Bucket;
    /// The stored form of a bucket of `count`, given the count of the one before it.
    fn stored(previous: Self::Bucket, count: Self::Bucket) -> Self::Bucket;
    /// The sum of two bucket counts.
    fn add(a: Self::Bucket, b: Self::Bucket) -> Self::Bucket;
}

/// Encodings 2 and 5.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IntCounts;

/// An integer field: the number and its last change.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IntField {
    value: i64,
    delta: i64,
}

impl IntField {
    #[inline(always)]
    fn put(&mut self, writer: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        varbit::put_int(writer, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }
}

impl Kind for IntCounts {
    type Count = u64;
    type Bucket = i64;
    type Field = IntField;
    const FIRST_BUCKET_BITS_MIN: u64 = 1;
    const HEADER_AFTER_GAUGE: CounterResetHeader = CounterResetHeader::NotCounterReset;
    const HEADER_AFTER_UNKNOWN: CounterResetHeader = CounterResetHeader::Unknown;

    fn put_first_count(writer: &mut BitWriter, count: u64) -> IntField {
        varbit::put_uint(writer, count);
        IntField { value: count as i64, delta: 0 }
    }

    fn put_first_bucket(writer: &mut BitWriter, bucket: i64) -> IntField {
        varbit::put_int(writer, bucket);
        IntField { value: bucket, delta: 0 }
    }

    #[inline]
    fn put_count(writer: &mut BitWriter, field: &mut IntField, count: u64) {
        field.put(writer, count as i64);
    }

    #[inline]
    fn put_bucket(writer: &mut BitWriter, field: &mut IntField, bucket: i64) {
        field.put(writer, bucket);
    }

    fn put_stale_count(writer: &mut BitWriter, field: &mut IntField) {
        // Only stale markers follow a stale marker, and those write a zero here whatever is kept.
        writer.put(0, 1);
        *field = IntField::default();
    }

    fn read_first_count(reader: &mut BitReader<'_>) -> Result<IntField, DecodeError> {
        Ok(IntField { value: varbit::read_uint(reader)? as i64, delta: 0 })
    }

    fn read_first_bucket(reader: &mut BitReader<'_>) -> Result<IntField, DecodeError> {
        Ok(IntField { value: varbit::read_int(reader)?, delta: 0 })
    }

    #[inline(always)]
    fn read(reader: &mut BitReader<'_>, field: &mut IntField) -> Result<(), DecodeError> {
        field.delta = field.delta.wrapping_add(varbit::read_int(reader)?);
        field.value = field.value.wrapping_add(field.delta);
        Ok(())
    }

    fn count(field: &IntField) -> u64 {
        field.value as u64
    }

    fn bucket(field: &IntField) -> i64 {
        field.value
    }

    fn absolute(previous: i64, bucket: i64) -> i64 {
        previous.wrapping_add(bucket)
    }

    fn stored(previous: i64, count: i64) -> i64 {
        count.wrapping_sub(previous)
    }

    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }
}

/// Encodings 3 and 6.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FloatCounts;

fn put_first(writer: &mut BitWriter, value: f64) -> XorValue {
    writer.put(value.to_bits(), 64);
    XorValue::start(value.to_bits())
}

fn read_first(reader: &mut BitReader<'_>) -> Result<XorValue, DecodeError> {
    let bits = reader.take_wide(64);
    reader.check()?;
    Ok(XorValue { bits, ..XorValue::default() })
}

impl Kind for FloatCounts {
    type Count = f64;
    type Bucket = f64;
    type Field = XorValue;
    const FIRST_BUCKET_BITS_MIN: u64 = 64;
    const HEADER_AFTER_GAUGE: CounterResetHeader = CounterResetHeader::Unknown;
    const HEADER_AFTER_UNKNOWN: CounterResetHeader = CounterResetHeader::NotCounterReset;

    fn put_first_count(writer: &mut BitWriter, count: f64) -> XorValue {
        put_first(writer, count)
    }

    fn put_first_bucket(writer: &mut BitWriter, bucket: f64) -> XorValue {
        put_first(writer, bucket)
    }

    #[inline]
    fn put_count(writer: &mut BitWriter, field: &mut XorValue, count: f64) {
        field.put(writer, count.to_bits());
    }

    #[inline]
    fn put_bucket(writer: &mut BitWriter, field: &mut XorValue, bucket: f64) {
        field.put(writer, bucket.to_bits());
    }

    fn put_stale_count(writer: &mut BitWriter, field: &mut XorValue) {
        field.put(writer, 0);
    }

    fn read_first_count(reader: &mut BitReader<'_>) -> Result<XorValue, DecodeError> {
        read_first(reader)
    }

    fn read_first_bucket(reader: &mut BitReader<'_>) -> Result<XorValue, DecodeError> {
        read_first(reader)
    }

    #[inline(always)]
    fn read(reader: &mut BitReader<'_>, field: &mut XorValue) -> Result<(), DecodeError> {
        field.read(reader)?;
        reader.check()
    }

    fn count(field: &XorValue) -> f64 {
        f64::from_bits(field.bits)
    }

    fn bucket(field: &XorValue) -> f64 {
        f64::from_bits(field.bits)
    }

    fn absolute(_previous: f64, bucket: f64) -> f64 {
        bucket
    }

    fn stored(_previous: f64, count: f64) -> f64 {
        count
    }

    fn add(a: f64, b: f64) -> f64 {
        a + b
    }
}
