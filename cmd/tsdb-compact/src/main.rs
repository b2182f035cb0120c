//! Compacts Prometheus TSDB blocks past the page cache.
fn main() {}
