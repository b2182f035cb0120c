//! Tells metrics whose values are read when somebody asks.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Tells metrics one by one. A counter's name is given without `_total`, which the encoder adds.
pub(super) struct Teller<'e> {
    encoder: DescriptorEncoder<'e>,
}

impl<'e> Teller<'e> {
    pub(super) fn new(encoder: DescriptorEncoder<'e>) -> Self {
        Self { encoder }
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let encoder = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// Nothing where it is not known.
    pub(super) fn gauge_if(&mut self, name: &str, help: &str, value: Option<u64>) -> fmt::Result {
        value.map_or(Ok(()), |value| self.gauge(name, help, value as f64))
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let encoder = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    /// A gauge by the values of one label; nothing if there are none.
    pub(super) fn gauges_by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, f64)],
    ) -> fmt::Result {
        self.by(name, help, label, values, MetricType::Gauge)
    }

    /// A counter by the values of one label; nothing if there are none.
    pub(super) fn counters_by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, f64)],
    ) -> fmt::Result {
        self.by(name, help, label, values, MetricType::Counter)
    }

    fn by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, f64)],
        kind: MetricType,
    ) -> fmt::Result {
        if values.is_empty() {
            return Ok(());
        }
        let mut encoder = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (value, number) in values {
            let labels = [(label, *value)];
            let encoder = encoder.encode_family(&labels)?;
            if kind == MetricType::Counter {
                ConstCounter::new(*number).encode(encoder)?;
            } else {
                ConstGauge::new(*number).encode(encoder)?;
            }
        }
        Ok(())
    }

    /// A classic histogram of buckets that are not cumulative, the last without a bound.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        sum: f64,
        buckets: &[(f64, u64)],
    ) -> fmt::Result {
        let mut encoder =
            self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
    }
}
