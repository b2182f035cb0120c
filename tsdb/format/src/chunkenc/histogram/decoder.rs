//! Reads a histogram chunk, sample by sample.

use super::super::STALE_NAN_BITS;
use super::super::bits::{BitPosition, BitReader};
use super::super::start_timestamp::StDecoder;
use super::super::varbit;
use super::super::xor_value::XorValue;
use super::kind::Kind;
use super::layout::{Layout, bucket_count, limit};
use super::value::{CounterResetHeader, CounterResetHint, SparseHistogram};
use super::{HEADER_BYTES, Header, resolution};
use crate::{DecodeError, Quantity, Rule};

/// Which histogram stands for the current sample.
#[derive(Debug, Clone, Copy, Default)]
enum View {
    #[default]
    AsStored,
    Stale,
    Reduced,
}

/// What a decoder keeps between two samples, and the current one.
#[derive(Debug, Default)]
pub(crate) struct HistogramDecoder<K: Kind> {
    at: BitPosition,
    read: u32,
    header: CounterResetHeader,
    pub(crate) t: i64,
    t_delta: i64,
    count: K::Field,
    zero_count: K::Field,
    sum: XorValue,
    positive: Vec<K::Field>,
    negative: Vec<K::Field>,
    pub(crate) st: StDecoder,
    with_st: bool,
    layout: Layout,
    view: View,
    stored: SparseHistogram<K::Count, K::Bucket>,
    stale: SparseHistogram<K::Count, K::Bucket>,
    reduced: SparseHistogram<K::Count, K::Bucket>,
}

impl<K: Kind> HistogramDecoder<K> {
    /// Starts on a chunk with this header.
    pub(crate) fn reset(&mut self, header: Header, with_st: bool) {
        self.at = BitPosition::at_byte(HEADER_BYTES);
        self.read = 0;
        self.header = header.reset;
        self.st = StDecoder::new(header.st);
        self.with_st = with_st;
        self.t = 0;
        self.t_delta = 0;
    }

    /// The current sample, at most at schema 8; a stale marker has a sum and nothing else.
    pub(crate) fn histogram(&self) -> &SparseHistogram<K::Count, K::Bucket> {
        match self.view {
            View::AsStored => &self.stored,
            View::Stale => &self.stale,
            View::Reduced => &self.reduced,
        }
    }

    /// The current sample as it is stored, a stale marker's sum included.
    pub(crate) fn as_stored(&self) -> &SparseHistogram<K::Count, K::Bucket> {
        &self.stored
    }

    /// Reads one more sample. The caller counts them.
    pub(crate) fn next(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        self.next_stored(data)?;
        self.view = View::AsStored;
        if self.stored.is_stale() {
            self.stale.sum = self.stored.sum;
            self.view = View::Stale;
        } else if resolution::is_too_high(self.stored.schema) {
            self.view = View::Reduced;
            if !resolution::reduce::<K>(&self.stored, &mut self.reduced) {
                let reader = BitReader::new(data, self.at);
                return Err(reader.malformed(Rule::SpanOffset));
            }
        }
        Ok(())
    }

    /// As [`Self::next`], for [`Self::as_stored`] only.
    pub(crate) fn next_stored(&mut self, data: &[u8]) -> Result<(), DecodeError> {
        let mut reader = BitReader::new(data, self.at);
        let previous_t = self.t;
        if self.read == 0 {
            self.first(&mut reader)?;
        } else {
            self.later(&mut reader)?;
        }
        if self.with_st {
            self.st.read(&mut reader, self.read, self.t, previous_t)?;
        }
        reader.check()?;
        self.present();
        self.read += 1;
        self.at = reader.position();
        Ok(())
    }

    fn first(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        self.layout.read(reader)?;
        self.take_over_layout();
        self.t = varbit::read_int(reader)?;
        self.count = K::read_first_count(reader)?;
        self.zero_count = K::read_first_count(reader)?;
        self.sum = XorValue { bits: reader.take_wide(64), ..XorValue::default() };
        let sides = [
            (&self.layout.positive_spans, &mut self.positive, &mut self.stored.positive_buckets),
            (&self.layout.negative_spans, &mut self.negative, &mut self.stored.negative_buckets),
        ];
        for (spans, fields, buckets) in sides {
            fields.clear();
            buckets.clear();
            let count = bucket_count(spans);
            limit(reader, Quantity::Buckets, count, K::FIRST_BUCKET_BITS_MIN)?;
            for _ in 0..count {
                let field = K::read_first_bucket(reader)?;
                buckets.push(K::bucket(&field));
                fields.push(field);
            }
        }
        Ok(())
    }

    fn take_over_layout(&mut self) {
        let (layout, stored) = (&self.layout, &mut self.stored);
        stored.schema = layout.schema;
        stored.zero_threshold = layout.zero_threshold;
        stored.positive_spans.clone_from(&layout.positive_spans);
        stored.negative_spans.clone_from(&layout.negative_spans);
        stored.custom_values.clone_from(&layout.custom_values);
    }

    fn later(&mut self, reader: &mut BitReader<'_>) -> Result<(), DecodeError> {
        self.t_delta = self.t_delta.wrapping_add(varbit::read_int(reader)?);
        self.t = self.t.wrapping_add(self.t_delta);
        K::read(reader, &mut self.count)?;
        K::read(reader, &mut self.zero_count)?;
        self.sum.read(reader)?;
        if self.sum.bits == STALE_NAN_BITS {
            return Ok(());
        }
        let sides = [
            (&mut self.positive, &mut self.stored.positive_buckets),
            (&mut self.negative, &mut self.stored.negative_buckets),
        ];
        for (fields, buckets) in sides {
            for (field, bucket) in fields.iter_mut().zip(buckets) {
                K::read(reader, field)?;
                *bucket = K::bucket(field);
            }
        }
        Ok(())
    }

    /// Completes the stored histogram.
    fn present(&mut self) {
        self.stored.count = K::count(&self.count);
        self.stored.zero_count = K::count(&self.zero_count);
        self.stored.sum = f64::from_bits(self.sum.bits);
        self.stored.counter_reset_hint = match self.header {
            CounterResetHeader::Gauge => CounterResetHint::Gauge,
            // Whatever the header says: the chunk that it was compared with may be gone.
            _ if self.read == 0 => CounterResetHint::Unknown,
            _ => CounterResetHint::NotCounterReset,
        };
    }
}
