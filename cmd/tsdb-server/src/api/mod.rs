//! `/api/v1`: Prometheus's HTTP API, as far as it needs no query language and no targets.
//!
//! Shapes of JSON, parameters and words of errors are Prometheus's.
//!
//! Source: Prometheus 3.15, `web/api/v1/api.go`.

mod admin;
mod answer;
mod cardinality;
mod exemplars;
mod labels;
mod metadata;
mod number;
mod overview;
mod params;
mod series;
mod status;
mod time;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub(crate) use cardinality::CardinalityCache;

/// All routes below `/api/v1` but those of remote write and read.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get(series::series).post(series::series))
        .route("/metadata", get(metadata::metadata))
        .route("/query_exemplars", get(exemplars::query).post(exemplars::query))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/overview", get(overview::overview))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean).put(admin::clean))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
}
