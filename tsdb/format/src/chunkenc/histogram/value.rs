//! Histograms as values.

/// The schema of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The highest exponential schema that Prometheus computes with.
pub(crate) const EXPONENTIAL_SCHEMA_MAX: i32 = 8;
/// The highest exponential schema that a chunk may hold; it is reduced when it is read.
pub(crate) const EXPONENTIAL_SCHEMA_MAX_RESERVED: i32 = 52;
/// The lowest exponential schema that a chunk may hold.
pub(crate) const EXPONENTIAL_SCHEMA_MIN_RESERVED: i32 = -9;

/// A run of neighbouring buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The gap to the end of the span before it; for the first span, the index of its first bucket.
    pub offset: i32,
    /// How many buckets there are.
    pub length: u32,
}

/// What is known about a counter reset between a histogram and the sample before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CounterResetHint {
    /// Nothing: it has to be found out by comparing.
    #[default]
    Unknown,
    /// There was a reset.
    CounterReset,
    /// There was none.
    NotCounterReset,
    /// The histogram is a gauge, so there are no resets.
    Gauge,
}

/// The two bits in a histogram chunk's header that say how the chunk came to begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CounterResetHeader {
    /// Nothing is known.
    #[default]
    Unknown = 0x00,
    /// There was no counter reset before the first sample.
    NotCounterReset = 0x40,
    /// There was a counter reset before the first sample.
    CounterReset = 0x80,
    /// All histograms in the chunk are gauges.
    Gauge = 0xc0,
}

impl CounterResetHeader {
    /// The header in the top two bits of `byte`.
    #[must_use]
    pub fn from_bits(byte: u8) -> Self {
        match byte >> 6 {
            0 => Self::Unknown,
            1 => Self::NotCounterReset,
            2 => Self::CounterReset,
            _ => Self::Gauge,
        }
    }
}

/// A sparse (native) histogram. See [`Histogram`] and [`FloatHistogram`].
///
/// Span lengths add up to the number of buckets, on each side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SparseHistogram<Count, Bucket> {
    /// What is known about a counter reset before this sample, or that it is a gauge.
    pub counter_reset_hint: CounterResetHint,
    /// The resolution: -4 to 8 for exponential buckets (higher ones are reduced when read), or
    /// [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: Count,
    /// All observations.
    pub count: Count,
    /// The sum of all observations; the stale NaN makes the sample a stale marker.
    pub sum: f64,
    /// Which positive buckets there are. With custom buckets, all of them.
    pub positive_spans: Vec<Span>,
    /// Which negative buckets there are.
    pub negative_spans: Vec<Span>,
    /// The positive buckets.
    pub positive_buckets: Vec<Bucket>,
    /// The negative buckets.
    pub negative_buckets: Vec<Bucket>,
    /// Upper bounds of custom buckets, the last one (+Inf) left out. Empty for other schemas.
    pub custom_values: Vec<f64>,
}

/// A histogram with integer counts. A bucket holds the difference to the bucket before it (the
/// first one its count).
pub type Histogram = SparseHistogram<u64, i64>;

/// A histogram with float counts. A bucket holds its count.
pub type FloatHistogram = SparseHistogram<f64, f64>;

impl<Count, Bucket> SparseHistogram<Count, Bucket> {
    /// Whether this is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.sum.to_bits() == super::super::STALE_NAN_BITS
    }

    /// Whether the buckets have custom bounds.
    #[must_use]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }
}

impl Histogram {
    /// Writes the same histogram with float counts into `out`, whose memory is reused.
    #[expect(clippy::cast_precision_loss, reason = "counts over 2^53 are rounded by definition")]
    pub fn to_float(&self, out: &mut FloatHistogram) {
        out.counter_reset_hint = self.counter_reset_hint;
        out.schema = self.schema;
        out.zero_threshold = self.zero_threshold;
        out.zero_count = self.zero_count as f64;
        out.count = self.count as f64;
        out.sum = self.sum;
        out.positive_spans.clone_from(&self.positive_spans);
        out.negative_spans.clone_from(&self.negative_spans);
        out.custom_values.clone_from(&self.custom_values);
        absolute(&self.positive_buckets, &mut out.positive_buckets);
        absolute(&self.negative_buckets, &mut out.negative_buckets);
    }
}

#[expect(clippy::cast_precision_loss, reason = "as Prometheus: each difference is converted")]
fn absolute(deltas: &[i64], out: &mut Vec<f64>) {
    out.clear();
    let mut count = 0.0;
    out.extend(deltas.iter().map(|&delta| {
        count += delta as f64;
        count
    }));
}
