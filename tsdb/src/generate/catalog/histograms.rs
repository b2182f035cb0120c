//! Native histograms, as many as anyone asks for.

use super::{Template, Value, labels_seed};

const NAMES: [&str; 16] = [
    "http_request_native_duration_seconds",
    "http_request_size_bytes",
    "http_response_size_bytes",
    "rpc_server_duration_seconds",
    "rpc_client_duration_seconds",
    "cache_lookup_duration_seconds",
    "database_query_duration_seconds",
    "database_rows_returned",
    "queue_wait_seconds",
    "queue_batch_items",
    "lock_wait_seconds",
    "disk_read_latency_seconds",
    "disk_write_latency_seconds",
    "tls_handshake_seconds",
    "scheduler_latency_seconds",
    "gc_pause_seconds",
];
const HANDLERS: [&str; 8] = [
    "/api/v1/read",
    "/api/v1/write",
    "/api/v1/query",
    "/api/v1/items",
    "/healthz",
    "/login",
    "/upload",
    "/static",
];
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const CODES: [&str; 4] = ["200", "304", "404", "500"];

/// 1,536 templates, those of one name first.
pub(super) fn templates() -> impl Iterator<Item = Template> {
    let combinations = || {
        HANDLERS.iter().flat_map(|handler| {
            METHODS.iter().flat_map(move |method| CODES.map(|code| [*handler, *method, code]))
        })
    };
    NAMES.iter().flat_map(move |name| {
        combinations().map(move |values| {
            let labels: Vec<(String, String)> = ["handler", "method", "code"]
                .into_iter()
                .zip(values)
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let seed = labels_seed(name, &labels);
            Template { name: (*name).to_owned(), labels, value: Value::Histogram, seed }
        })
    })
}
