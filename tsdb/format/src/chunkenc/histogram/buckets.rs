//! Bringing a chunk's buckets and a sample's buckets to one layout.
//!
//! ```text
//! chunk    [0] [1]         [4]        slots 0 1 . 3      grows by one bucket
//! sample   [0]     [2]     [4]        slots 0 . 2 3      grows by one bucket
//! union    [0] [1] [2]     [4]        4 buckets
//! ```

use super::kind::Kind;
use super::value::Span;

/// The indices of the buckets in `spans`, in order.
fn bucket_indices(spans: &[Span]) -> impl Iterator<Item = i64> {
    let mut next = 0i64;
    spans.iter().flat_map(move |span| {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        start..next
    })
}

/// The counts of stored buckets.
fn counts<K: Kind>(buckets: impl Iterator<Item = K::Bucket>) -> impl Iterator<Item = K::Bucket> {
    buckets.scan(K::Bucket::default(), |count, bucket| {
        *count = K::absolute(*count, bucket);
        Some(*count)
    })
}

/// Whether no bucket's count fell from the chunk's last sample to this one, both laid out alike.
pub(crate) fn none_fell<K: Kind>(chunk: &[K::Field], sample: &[K::Bucket]) -> bool {
    let chunk = counts::<K>(chunk.iter().map(K::bucket));
    chunk.zip(counts::<K>(sample.iter().copied())).all(|(before, after)| may_follow(before, after))
}

/// As Prometheus has it: only a greater count before is a fall, NaN is none.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN must not count as a fall")]
fn may_follow<T: PartialOrd>(before: T, after: T) -> bool {
    !(before > after)
}

/// Collects bucket indices into as few spans as possible.
#[derive(Debug, Default)]
pub(crate) struct SpanBuilder {
    pub(crate) spans: Vec<Span>,
    next: i64,
}

impl SpanBuilder {
    pub(crate) fn clear(&mut self) {
        self.spans.clear();
        self.next = 0;
    }

    pub(crate) fn push(&mut self, index: i64) {
        #[expect(clippy::cast_possible_truncation, reason = "Prometheus cuts it to 32 bits, too")]
        let offset = (index - self.next) as i32;
        match self.spans.last_mut() {
            Some(last) if index == self.next => last.length += 1,
            _ => self.spans.push(Span { offset, length: 1 }),
        }
        self.next = index + 1;
    }
}

/// Where the buckets of a chunk and of a sample go in their union, on one side.
#[derive(Debug, Default)]
pub(crate) struct BucketUnion {
    chunk_slots: Vec<usize>,
    sample_slots: Vec<usize>,
    total: usize,
    builder: SpanBuilder,
}

impl BucketUnion {
    /// Lays out gauges: buckets may come and go.
    pub(crate) fn unite(&mut self, chunk_spans: &[Span], sample_spans: &[Span]) {
        let nothing = || std::iter::repeat(());
        let always = |_: Option<()>, _: Option<()>| true;
        self.walk(chunk_spans, nothing(), sample_spans, nothing(), always);
    }

    /// Lays out counters. `false` when there was a counter reset: a count fell, or a bucket that
    /// was in use is gone.
    pub(crate) fn unite_counters<K: Kind>(
        &mut self,
        chunk_spans: &[Span],
        chunk: &[K::Field],
        sample_spans: &[Span],
        sample: &[K::Bucket],
    ) -> bool {
        let zero = K::Bucket::default();
        let chunk = counts::<K>(chunk.iter().map(K::bucket));
        let sample = counts::<K>(sample.iter().copied());
        self.walk(chunk_spans, chunk, sample_spans, sample, |chunk, sample| match (chunk, sample) {
            (Some(before), Some(after)) => may_follow(before, after),
            (Some(before), None) => before == zero,
            _ => true,
        })
    }

    /// Merges both sides by bucket index, until `keep` refuses a bucket.
    fn walk<T>(
        &mut self,
        chunk_spans: &[Span],
        chunk: impl Iterator<Item = T>,
        sample_spans: &[Span],
        sample: impl Iterator<Item = T>,
        keep: impl Fn(Option<T>, Option<T>) -> bool,
    ) -> bool {
        self.chunk_slots.clear();
        self.sample_slots.clear();
        self.builder.clear();
        self.total = 0;
        let mut chunk = bucket_indices(chunk_spans).zip(chunk).peekable();
        let mut sample = bucket_indices(sample_spans).zip(sample).peekable();
        loop {
            let (in_chunk, in_sample, index) = match (chunk.peek(), sample.peek()) {
                (Some(&(a, _)), Some(&(b, _))) => (a <= b, b <= a, a.min(b)),
                (Some(&(a, _)), None) => (true, false, a),
                (None, Some(&(b, _))) => (false, true, b),
                (None, None) => return true,
            };
            if in_chunk {
                self.chunk_slots.push(self.total);
            }
            if in_sample {
                self.sample_slots.push(self.total);
            }
            let before = if in_chunk { chunk.next().map(|(_, count)| count) } else { None };
            let after = if in_sample { sample.next().map(|(_, count)| count) } else { None };
            if !keep(before, after) {
                return false;
            }
            self.builder.push(index);
            self.total += 1;
        }
    }

    /// Whether the sample has buckets that the chunk lacks.
    pub(crate) fn chunk_grows(&self) -> bool {
        self.chunk_slots.len() < self.total
    }

    /// Whether the chunk has buckets that the sample lacks.
    pub(crate) fn sample_grows(&self) -> bool {
        self.sample_slots.len() < self.total
    }

    /// The union's spans, as few as possible.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.builder.spans
    }

    /// A chunk's stored buckets, laid out as the union's.
    pub(crate) fn spread_chunk<K: Kind>(&self, buckets: &[K::Bucket], out: &mut Vec<K::Bucket>) {
        spread::<K>(buckets, &self.chunk_slots, self.total, out);
    }

    /// A sample's stored buckets, laid out as the union's.
    pub(crate) fn spread_sample<K: Kind>(&self, buckets: &[K::Bucket], out: &mut Vec<K::Bucket>) {
        spread::<K>(buckets, &self.sample_slots, self.total, out);
    }
}

/// Puts the counts of `buckets` at `slots`, zeros elsewhere, and returns to stored buckets.
fn spread<K: Kind>(buckets: &[K::Bucket], slots: &[usize], total: usize, out: &mut Vec<K::Bucket>) {
    out.clear();
    out.resize(total, K::Bucket::default());
    for (count, &slot) in counts::<K>(buckets.iter().copied()).zip(slots) {
        if let Some(place) = out.get_mut(slot) {
            *place = count;
        }
    }
    let mut previous = K::Bucket::default();
    for bucket in out {
        let count = *bucket;
        *bucket = K::stored(previous, count);
        previous = count;
    }
}
