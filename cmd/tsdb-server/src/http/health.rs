//! `/-/healthy` and `/-/ready`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::answer::text;
use crate::app::App;

/// The process answers.
pub(super) async fn healthy() -> Response {
    text(StatusCode::OK, "tsdb-server is Healthy.")
}

/// The database is open and the server is not stopping.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.ready() {
        Ok(_) => text(StatusCode::OK, "tsdb-server is Ready."),
        Err(not_ready) => not_ready.into_response(),
    }
}
