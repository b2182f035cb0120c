//! Prometheus-compatible TSDB blocks.
