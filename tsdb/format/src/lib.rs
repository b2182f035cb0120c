//! Prometheus TSDB block formats.
