//! How a head is run.

use crate::compact::FloatEncoding;
use crate::wal::WalOptions;

/// Two hours, Prometheus's default.
const CHUNK_RANGE_MS: i64 = 2 * 60 * 60 * 1000;
/// Samples of an out-of-order chunk, Prometheus's default.
const OUT_OF_ORDER_CAP_MAX: u8 = 32;

/// How a head is run. Start from [`HeadOptions::default`], which is what Prometheus does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HeadOptions {
    /// Chunks end at multiples of this, in milliseconds; so do the blocks that the head becomes.
    pub chunk_range_ms: i64,
    /// Samples up to this much older than the newest one are taken out of order. 0: none are.
    pub out_of_order_window_ms: i64,
    /// How many samples an out-of-order chunk holds, 1 to 255.
    pub out_of_order_cap_max: u8,
    /// How float chunks are encoded.
    pub float_encoding: FloatEncoding,
    /// Whether chunks of histograms keep start timestamps (encodings 5 and 6).
    pub histogram_start_timestamps: bool,
    /// Whether start timestamps are logged, and a chunk of floats ends where its encoding is not
    /// the configured one.
    pub store_start_timestamps: bool,
    /// How many exemplars are kept. 0: none are.
    pub exemplars_max: usize,
    /// Whether a view sees whole commits only.
    pub isolation: bool,
    /// How the logs are written.
    pub wal: WalOptions,
    /// What is refused beyond what Prometheus refuses.
    pub limits: HeadLimits,
    /// How many threads replay uses. 0: one for each core.
    pub threads: usize,
}

/// Limits of a head. Prometheus has none in its place; 0 is none here too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// No more series than this.
    pub series_max: u64,
    /// No series with more labels than this.
    pub labels_max: usize,
}

impl Default for HeadOptions {
    fn default() -> Self {
        Self {
            chunk_range_ms: CHUNK_RANGE_MS,
            out_of_order_window_ms: 0,
            out_of_order_cap_max: OUT_OF_ORDER_CAP_MAX,
            float_encoding: FloatEncoding::default(),
            histogram_start_timestamps: false,
            store_start_timestamps: false,
            exemplars_max: 0,
            isolation: true,
            wal: WalOptions::default(),
            limits: HeadLimits::default(),
            threads: 0,
        }
    }
}

impl HeadOptions {
    /// With chunks that end at multiples of `chunk_range_ms`.
    #[must_use]
    pub fn chunk_range_ms(mut self, chunk_range_ms: i64) -> Self {
        self.chunk_range_ms = chunk_range_ms;
        self
    }

    /// With samples taken that are up to `window_ms` older than the newest one.
    #[must_use]
    pub fn out_of_order_window_ms(mut self, window_ms: i64) -> Self {
        self.out_of_order_window_ms = window_ms;
        self
    }

    /// With floats encoded so.
    #[must_use]
    pub fn float_encoding(mut self, encoding: FloatEncoding) -> Self {
        self.float_encoding = encoding;
        self
    }

    /// With start timestamps kept everywhere: logged, and in chunks of encodings 4 to 6.
    #[must_use]
    pub fn start_timestamps(mut self) -> Self {
        self.store_start_timestamps = true;
        self.histogram_start_timestamps = true;
        self.float_encoding = FloatEncoding::Xor2;
        self
    }

    /// With up to `exemplars` kept.
    #[must_use]
    pub fn exemplars_max(mut self, exemplars: usize) -> Self {
        self.exemplars_max = exemplars;
        self
    }

    /// With logs written so.
    #[must_use]
    pub fn wal(mut self, wal: WalOptions) -> Self {
        self.wal = wal;
        self
    }
}

impl HeadLimits {
    /// With no more than `series` series.
    #[must_use]
    pub fn series_max(mut self, series: u64) -> Self {
        self.series_max = series;
        self
    }

    /// With no series of more than `labels` labels.
    #[must_use]
    pub fn labels_max(mut self, labels: usize) -> Self {
        self.labels_max = labels;
        self
    }
}
