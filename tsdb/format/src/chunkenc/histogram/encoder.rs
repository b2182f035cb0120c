//! Writes a histogram chunk, sample by sample, and decides when a sample needs another chunk.

use super::super::start_timestamp::StEncoder;
use super::super::xor_value::XorValue;
use super::super::{AppendError, HistogramAppend};
use super::buckets::{BucketUnion, none_fell};
use super::kind::Kind;
use super::layout::{Layout, bucket_count, is_known_schema};
use super::value::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHeader, CounterResetHint, Span, SparseHistogram,
};
use super::{HEADER_BYTES, Header, HistogramDecoder, SAMPLES_MAX_ST};
use crate::chunkenc::bits::{BitWriter, PutBits};
use crate::chunkenc::varbit;

type Sample<K> = SparseHistogram<<K as Kind>::Count, <K as Kind>::Bucket>;

/// Writes histogram chunks of one kind.
#[derive(Debug, Default)]
pub(crate) struct HistogramEncoder<K: Kind> {
    chunk: Chunk<K>,
    /// The chunk that the last "new chunk" outcome completed, or what a recoding reads from.
    completed: Vec<u8>,
    scratch: Scratch<K>,
}

/// The chunk being written.
#[derive(Debug, Default)]
struct Chunk<K: Kind> {
    writer: BitWriter,
    samples: u16,
    reset: CounterResetHeader,
    with_st: bool,
    layout: Layout,
    t: i64,
    t_delta: i64,
    count: K::Field,
    zero_count: K::Field,
    sum: XorValue,
    positive: Vec<K::Field>,
    negative: Vec<K::Field>,
    st: StEncoder,
}

/// Memory of the rare paths.
#[derive(Debug, Default)]
struct Scratch<K: Kind> {
    positive: BucketUnion,
    negative: BucketUnion,
    positive_buckets: Vec<K::Bucket>,
    negative_buckets: Vec<K::Bucket>,
    layout: Layout,
    decoder: HistogramDecoder<K>,
}

/// Whether and how a sample fits the chunk.
enum Fit {
    /// With the buckets as they are.
    Alike,
    /// With the buckets that the scratch memory describes.
    United,
    /// Not at all: the header of the chunk that it would start, and why.
    NewChunk(CounterResetHeader, AppendError),
}

impl<K: Kind> HistogramEncoder<K> {
    /// Starts an empty chunk, of the encodings with start timestamps or without.
    pub(crate) fn reset(&mut self, with_st: bool) {
        self.chunk.reset(with_st);
    }

    pub(crate) fn samples(&self) -> u16 {
        self.chunk.samples
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.chunk.writer.len_bytes()
    }

    pub(crate) fn bytes(&mut self) -> &[u8] {
        self.chunk.bytes()
    }

    /// Appends the chunk with a header that counts `samples`.
    pub(crate) fn copy_to(&self, samples: u16, to: &mut Vec<u8>) {
        let begin = to.len();
        self.chunk.writer.copy_to(to);
        let header = Header { samples: samples.min(self.chunk.samples), ..self.chunk.header() };
        let bytes = header.to_bytes(self.chunk.with_st);
        for (byte, header) in to.get_mut(begin..).unwrap_or_default().iter_mut().zip(bytes) {
            *byte = header;
        }
    }

    /// Sets spans and buckets of `sample`, the last one that was appended, to what is stored of it.
    pub(crate) fn store_layout(&self, sample: &mut Sample<K>) {
        if sample.is_stale() {
            return;
        }
        let Chunk { layout, positive, negative, .. } = &self.chunk;
        sample.positive_spans.clone_from(&layout.positive_spans);
        sample.negative_spans.clone_from(&layout.negative_spans);
        sample.positive_buckets.clear();
        sample.positive_buckets.extend(positive.iter().map(K::bucket));
        sample.negative_buckets.clear();
        sample.negative_buckets.extend(negative.iter().map(K::bucket));
    }

    pub(crate) fn completed(&self) -> &[u8] {
        &self.completed
    }

    /// Appends a sample as 3.15's `AppendHistogram` and `AppendFloatHistogram` do.
    pub(crate) fn append(
        &mut self,
        previous: Option<&Self>,
        st: i64,
        t: i64,
        sample: &Sample<K>,
        append_only: bool,
    ) -> Result<HistogramAppend, AppendError> {
        validate::<K>(sample)?;
        let samples_max = if self.chunk.with_st { SAMPLES_MAX_ST } else { u16::MAX };
        if self.chunk.samples == samples_max {
            return Err(AppendError::ChunkFull);
        }
        if self.chunk.samples == 0 {
            self.chunk.append_sample(st, t, sample);
            self.chunk.reset = first_header(previous.map(|p| &p.chunk), sample);
            return Ok(HistogramAppend::Appended);
        }
        let is_gauge = sample.counter_reset_hint == CounterResetHint::Gauge;
        let fit = if is_gauge {
            self.chunk.fit_gauge(sample, &mut self.scratch)
        } else {
            self.chunk.fit_counter(sample, &mut self.scratch)
        };
        match fit {
            Fit::Alike => {
                self.chunk.append_sample(st, t, sample);
                Ok(HistogramAppend::Appended)
            }
            Fit::United => self.append_united(st, t, sample, is_gauge, append_only),
            Fit::NewChunk(_, reason) if append_only => Err(reason),
            Fit::NewChunk(header, _) => {
                self.completed.clear();
                self.completed.extend_from_slice(self.chunk.bytes());
                self.chunk.reset(self.chunk.with_st);
                self.chunk.append_sample(st, t, sample);
                self.chunk.reset = header;
                Ok(HistogramAppend::NewChunk)
            }
        }
    }

    /// Appends a sample whose buckets, the chunk's, or both have to be extended.
    fn append_united(
        &mut self,
        st: i64,
        t: i64,
        sample: &Sample<K>,
        is_gauge: bool,
        append_only: bool,
    ) -> Result<HistogramAppend, AppendError> {
        let (positive, negative) = (&self.scratch.positive, &self.scratch.negative);
        let chunk_grows = positive.chunk_grows() || negative.chunk_grows();
        let sample_grows = positive.sample_grows() || negative.sample_grows();
        // A counter that lacks empty buckets of the chunk is extended even so.
        if append_only && (chunk_grows || (is_gauge && sample_grows)) {
            return Err(AppendError::LayoutChange);
        }
        if chunk_grows {
            self.scratch.choose_spans(sample, is_gauge && sample_grows);
            self.recode();
        }
        let Scratch { positive, negative, positive_buckets, negative_buckets, .. } =
            &mut self.scratch;
        positive.spread_sample::<K>(&sample.positive_buckets, positive_buckets);
        negative.spread_sample::<K>(&sample.negative_buckets, negative_buckets);
        self.chunk.append_parts(st, t, sample, (positive_buckets, negative_buckets));
        Ok(if chunk_grows { HistogramAppend::Recoded } else { HistogramAppend::Appended })
    }

    /// Writes the chunk anew with the buckets and spans that the scratch memory describes.
    fn recode(&mut self) {
        let with_st = self.chunk.with_st;
        let header = self.chunk.reset;
        let samples = self.chunk.samples;
        let mut old = std::mem::take(&mut self.completed);
        old.clear();
        old.extend_from_slice(self.chunk.bytes());
        let Scratch { positive, negative, positive_buckets, negative_buckets, layout, decoder } =
            &mut self.scratch;
        decoder.reset(self.chunk.header(), with_st);
        self.chunk.reset(with_st);
        for _ in 0..samples {
            let read = decoder.next_stored(&old);
            assert!(read.is_ok(), "what this encoder wrote can be read");
            let sample = decoder.as_stored();
            positive.spread_chunk::<K>(&sample.positive_buckets, positive_buckets);
            negative.spread_chunk::<K>(&sample.negative_buckets, negative_buckets);
            if self.chunk.samples == 0 {
                self.chunk.write_layout(layout);
            }
            let buckets = (positive_buckets.as_slice(), negative_buckets.as_slice());
            self.chunk.append_parts(decoder.st.st, decoder.t, sample, buckets);
        }
        self.chunk.reset = header;
        old.clear();
        self.completed = old;
    }
}

impl<K: Kind> Scratch<K> {
    /// Lays out both sides. `false` when `counters` says that there was a counter reset.
    fn unite(&mut self, chunk: &Chunk<K>, sample: &Sample<K>, counters: bool) -> bool {
        let layout = &chunk.layout;
        if !counters {
            self.positive.unite(&layout.positive_spans, &sample.positive_spans);
            self.negative.unite(&layout.negative_spans, &sample.negative_spans);
            return true;
        }
        let (spans, buckets) = (&sample.positive_spans, &sample.positive_buckets);
        self.positive.unite_counters::<K>(&layout.positive_spans, &chunk.positive, spans, buckets)
            && {
                let (spans, buckets) = (&sample.negative_spans, &sample.negative_buckets);
                let negative = &layout.negative_spans;
                self.negative.unite_counters::<K>(negative, &chunk.negative, spans, buckets)
            }
    }

    /// The layout of a chunk that grows: 3.15 writes the sample's own spans where the sample has
    /// all buckets, and spans made anew where it lacks some; for a gauge that lacks a bucket on
    /// either side, spans made anew on both.
    fn choose_spans(&mut self, sample: &Sample<K>, all_anew: bool) {
        let choose = |union: &BucketUnion, own: &[Span], out: &mut Vec<Span>| {
            out.clear();
            let anew = all_anew || union.sample_grows();
            out.extend_from_slice(if anew { union.spans() } else { own });
        };
        self.layout.schema = sample.schema;
        self.layout.zero_threshold = sample.zero_threshold;
        self.layout.custom_values.clone_from(&sample.custom_values);
        choose(&self.positive, &sample.positive_spans, &mut self.layout.positive_spans);
        choose(&self.negative, &sample.negative_spans, &mut self.layout.negative_spans);
    }
}

impl<K: Kind> Chunk<K> {
    fn reset(&mut self, with_st: bool) {
        self.writer.reset(HEADER_BYTES);
        self.samples = 0;
        self.reset = CounterResetHeader::Unknown;
        self.with_st = with_st;
        self.layout.clear();
        self.t = 0;
        self.t_delta = 0;
        self.count = K::Field::default();
        self.zero_count = K::Field::default();
        self.sum = XorValue::default();
        self.positive.clear();
        self.negative.clear();
        self.st = StEncoder::default();
    }

    fn header(&self) -> Header {
        Header { samples: self.samples, reset: self.reset, st: self.st.header }
    }

    fn bytes(&mut self) -> &[u8] {
        let header = self.header().to_bytes(self.with_st);
        let out = self.writer.bytes();
        for (byte, header) in out.iter_mut().zip(header) {
            *byte = header;
        }
        out
    }

    fn is_stale(&self) -> bool {
        self.sum.bits == crate::chunkenc::STALE_NAN_BITS
    }

    /// Whether a gauge may follow.
    fn fit_gauge(&self, sample: &Sample<K>, scratch: &mut Scratch<K>) -> Fit {
        let refused = Fit::NewChunk(CounterResetHeader::Gauge, AppendError::SchemaChange);
        if self.samples > 0 && self.reset != CounterResetHeader::Gauge {
            return refused;
        }
        if sample.is_stale() {
            return Fit::Alike;
        }
        if self.is_stale() || !self.has_schema_of(sample) || !self.has_bounds_of(sample) {
            return refused;
        }
        if self.has_spans_of(sample) {
            return Fit::Alike;
        }
        scratch.unite(self, sample, false);
        Fit::United
    }

    /// Whether a counter may follow.
    fn fit_counter(&self, sample: &Sample<K>, scratch: &mut Scratch<K>) -> Fit {
        let reset = Fit::NewChunk(CounterResetHeader::CounterReset, AppendError::CounterReset);
        let unknown = Fit::NewChunk(CounterResetHeader::Unknown, AppendError::SchemaChange);
        if self.samples > 0 && self.reset == CounterResetHeader::Gauge {
            return Fit::NewChunk(K::HEADER_AFTER_GAUGE, AppendError::SchemaChange);
        }
        if sample.counter_reset_hint == CounterResetHint::CounterReset {
            return reset;
        }
        if sample.is_stale() {
            return Fit::Alike;
        }
        if self.is_stale() {
            return unknown;
        }
        if sample.count < K::count(&self.count) {
            return reset;
        }
        if !self.has_schema_of(sample) {
            return unknown;
        }
        if !self.has_bounds_of(sample) || sample.zero_count < K::count(&self.zero_count) {
            return reset;
        }
        if self.has_spans_of(sample) {
            let none_fell = none_fell::<K>(&self.positive, &sample.positive_buckets)
                && none_fell::<K>(&self.negative, &sample.negative_buckets);
            return if none_fell { Fit::Alike } else { reset };
        }
        if scratch.unite(self, sample, true) { Fit::United } else { reset }
    }

    fn has_schema_of(&self, sample: &Sample<K>) -> bool {
        self.layout.schema == sample.schema && self.layout.zero_threshold == sample.zero_threshold
    }

    fn has_bounds_of(&self, sample: &Sample<K>) -> bool {
        self.layout.schema != CUSTOM_BUCKETS_SCHEMA
            || self.layout.custom_values == sample.custom_values
    }

    fn has_spans_of(&self, sample: &Sample<K>) -> bool {
        self.layout.positive_spans == sample.positive_spans
            && self.layout.negative_spans == sample.negative_spans
    }

    /// Appends a sample whose buckets are the chunk's, or that is the first.
    fn append_sample(&mut self, st: i64, t: i64, sample: &Sample<K>) {
        if self.samples == 0 {
            let mut layout = std::mem::take(&mut self.layout);
            layout.clear();
            if !sample.is_stale() {
                layout.schema = sample.schema;
                layout.zero_threshold = sample.zero_threshold;
                layout.positive_spans.extend_from_slice(&sample.positive_spans);
                layout.negative_spans.extend_from_slice(&sample.negative_spans);
                layout.custom_values.extend_from_slice(&sample.custom_values);
            }
            layout.write(&mut self.writer);
            self.layout = layout;
        }
        let buckets = (sample.positive_buckets.as_slice(), sample.negative_buckets.as_slice());
        self.append_parts(st, t, sample, buckets);
    }

    fn write_layout(&mut self, layout: &mut Layout) {
        layout.write(&mut self.writer);
        std::mem::swap(&mut self.layout, layout);
    }

    /// Appends a sample with `buckets` (positive, negative) for its own; a layout is written.
    fn append_parts(
        &mut self,
        st: i64,
        t: i64,
        sample: &Sample<K>,
        buckets: (&[K::Bucket], &[K::Bucket]),
    ) {
        let previous_t = self.t;
        if self.samples == 0 {
            self.put_first(t, sample, buckets);
        } else {
            self.put_later(t, sample, buckets);
        }
        self.t = t;
        if self.with_st {
            self.st.put(&mut self.writer, self.samples, t, previous_t, st);
        }
        self.samples += 1;
    }

    fn put_first(&mut self, t: i64, sample: &Sample<K>, buckets: (&[K::Bucket], &[K::Bucket])) {
        let writer = &mut self.writer;
        let empty = K::Count::default();
        let stale = sample.is_stale();
        self.t_delta = 0;
        varbit::put_int(writer, t);
        self.count = K::put_first_count(writer, if stale { empty } else { sample.count });
        self.zero_count = K::put_first_count(writer, if stale { empty } else { sample.zero_count });
        writer.put(sample.sum.to_bits(), 64);
        self.sum = XorValue::start(sample.sum.to_bits());
        for (fields, buckets) in [(&mut self.positive, buckets.0), (&mut self.negative, buckets.1)]
        {
            fields.clear();
            if !stale {
                fields.extend(buckets.iter().map(|&b| K::put_first_bucket(writer, b)));
            }
        }
    }

    fn put_later(&mut self, t: i64, sample: &Sample<K>, buckets: (&[K::Bucket], &[K::Bucket])) {
        let writer = &mut self.writer;
        let delta = t.wrapping_sub(self.t);
        varbit::put_int(writer, delta.wrapping_sub(self.t_delta));
        self.t_delta = delta;
        if sample.is_stale() {
            K::put_stale_count(writer, &mut self.count);
            K::put_stale_count(writer, &mut self.zero_count);
            self.sum.put(writer, sample.sum.to_bits());
            return;
        }
        K::put_count(writer, &mut self.count, sample.count);
        K::put_count(writer, &mut self.zero_count, sample.zero_count);
        self.sum.put(writer, sample.sum.to_bits());
        for (fields, buckets) in [(&mut self.positive, buckets.0), (&mut self.negative, buckets.1)]
        {
            for (field, &bucket) in fields.iter_mut().zip(buckets) {
                K::put_bucket(writer, field, bucket);
            }
        }
    }
}

/// The header of a chunk that `sample` begins, after the chunk `previous` if there is one.
fn first_header<K: Kind>(previous: Option<&Chunk<K>>, sample: &Sample<K>) -> CounterResetHeader {
    match sample.counter_reset_hint {
        CounterResetHint::Gauge => return CounterResetHeader::Gauge,
        CounterResetHint::CounterReset => return CounterResetHeader::CounterReset,
        CounterResetHint::Unknown | CounterResetHint::NotCounterReset => {}
    }
    let Some(previous) = previous else { return CounterResetHeader::Unknown };
    match previous.fit_counter(sample, &mut Scratch::default()) {
        Fit::NewChunk(CounterResetHeader::Unknown, _) => K::HEADER_AFTER_UNKNOWN,
        Fit::NewChunk(CounterResetHeader::CounterReset, _) => CounterResetHeader::CounterReset,
        _ => CounterResetHeader::NotCounterReset,
    }
}

/// A sample must have a schema that can be read again, and the buckets that its spans say.
fn validate<K: Kind>(sample: &Sample<K>) -> Result<(), AppendError> {
    if sample.is_stale() {
        return Ok(());
    }
    if !is_known_schema(i64::from(sample.schema)) {
        return Err(AppendError::UnknownSchema(sample.schema));
    }
    let fits = |spans: &[Span], buckets: usize| bucket_count(spans) == buckets as u64;
    if fits(&sample.positive_spans, sample.positive_buckets.len())
        && fits(&sample.negative_spans, sample.negative_buckets.len())
    {
        return Ok(());
    }
    Err(AppendError::BucketsMismatch)
}
