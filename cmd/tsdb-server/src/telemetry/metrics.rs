//! What the server counts, under Prometheus's names.
//!
//! Source: Prometheus 3.15, `web/web.go`.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::process::ProcessCollector;

/// Counters of the server, and the registry that tells them. The database's are told beside it.
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    /// 1 when the server answers everything.
    pub(crate) ready: Gauge,
    pub(crate) requests: Requests,
    pub(crate) remote_write: RemoteWrite,
    /// Remote reads that are under way or wait.
    pub(crate) remote_reads: Gauge,
}

/// What came by remote write and was not taken as it came.
#[derive(Clone, Default)]
pub(crate) struct RemoteWrite {
    pub(crate) invalid_labels: Counter,
    pub(crate) without_metadata: Counter,
    pub(crate) refused: Counter,
}

/// Requests by handler. Clones count together.
#[derive(Clone)]
pub(crate) struct Requests {
    total: Family<HandlerCode, Counter>,
    seconds: Family<Handler, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandlerCode {
    code: u16,
    handler: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handler {
    handler: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let ready = Gauge::default();
        let help = "Whether the server is ready for normal operation";
        registry.register("prometheus_ready", help, ready.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("tsdb_server_build", "What this server was built from", build);
        let requests = Requests::new();
        requests.register(&mut registry);
        let remote_write = RemoteWrite::default();
        remote_write.register(&mut registry);
        let remote_reads = Gauge::default();
        let help = "The current number of remote read queries that are in execution or queued";
        let name = "prometheus_remote_read_handler_queries";
        registry.register(name, help, remote_reads.clone());
        registry.register_collector(Box::new(ProcessCollector));
        Self { registry, ready, requests, remote_write, remote_reads }
    }
}

impl RemoteWrite {
    fn register(&self, registry: &mut Registry) {
        let help = "The total number of received remote write samples and histogram samples which \
            were rejected due to invalid labels";
        let name = "prometheus_api_remote_write_invalid_labels_samples";
        registry.register(name, help, self.invalid_labels.clone());
        let help = "The total number of received remote write samples (and histogram samples) \
            which were ingested without corresponding metadata";
        let name = "prometheus_api_remote_write_without_metadata_appended_samples";
        registry.register(name, help, self.without_metadata.clone());
        let help = "The total number of parts of remote write requests that were refused, and \
            their senders told so";
        registry.register("tsdb_server_remote_write_refused", help, self.refused.clone());
    }
}

impl Requests {
    fn new() -> Self {
        let seconds: fn() -> Histogram =
            || Histogram::new([0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0]);
        Self { total: Family::default(), seconds: Family::new_with_constructor(seconds) }
    }

    fn register(&self, registry: &mut Registry) {
        let help = "Counter of HTTP requests";
        registry.register("prometheus_http_requests", help, self.total.clone());
        let help = "Histogram of latencies for HTTP requests";
        let name = "prometheus_http_request_duration_seconds";
        registry.register(name, help, self.seconds.clone());
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, handler: &str, code: u16, took: Duration) {
        let handler = handler.to_owned();
        self.seconds
            .get_or_create(&Handler { handler: handler.clone() })
            .observe(took.as_secs_f64());
        self.total.get_or_create(&HandlerCode { code, handler }).inc();
    }
}
