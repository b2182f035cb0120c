//! What is appended.

use tsdb_format::chunkenc::{FloatHistogram, Histogram};
use tsdb_format::labels::Labels;
use tsdb_format::record::MetricType;

/// A sample of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// When it was taken, in milliseconds.
    pub time: i64,
    /// When counting began, in milliseconds; 0 if that is not known.
    pub start_time: i64,
    /// What was seen.
    pub value: SampleValue<'a>,
}

/// The value of a sample. The stale NaN, as a float or as a histogram's sum, says that the series is
/// gone; as a float it becomes a histogram where the series has histograms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleValue<'a> {
    /// A float.
    Float(f64),
    /// A histogram with integer counts.
    Histogram(&'a Histogram),
    /// A histogram with float counts.
    FloatHistogram(&'a FloatHistogram),
}

impl Sample<'static> {
    /// A float without a start timestamp.
    #[must_use]
    #[inline]
    pub fn float(time: i64, value: f64) -> Self {
        Self { time, start_time: 0, value: SampleValue::Float(value) }
    }
}

impl<'a> Sample<'a> {
    /// A histogram without a start timestamp.
    #[must_use]
    pub fn histogram(time: i64, value: &'a Histogram) -> Self {
        Self { time, start_time: 0, value: SampleValue::Histogram(value) }
    }

    /// A histogram with float counts, without a start timestamp.
    #[must_use]
    pub fn float_histogram(time: i64, value: &'a FloatHistogram) -> Self {
        Self { time, start_time: 0, value: SampleValue::FloatHistogram(value) }
    }

    /// The same with a start timestamp, in milliseconds.
    #[must_use]
    pub fn with_start(mut self, start_time: i64) -> Self {
        self.start_time = start_time;
        self
    }
}

/// One observation of a series, and where to find out more about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exemplar {
    /// Such as a trace's id. Empty values count as absent.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When, in milliseconds.
    pub time: i64,
}

/// What is known about a series beside its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// What kind of metric it is.
    pub metric_type: MetricType,
    /// Its unit, often empty.
    pub unit: String,
    /// What it means.
    pub help: String,
}
