//! `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::task::spawn_blocking;

use super::answer::text;
use crate::app::App;
use crate::telemetry;

/// All metrics, in the format that the scraper likes best.
pub(super) async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = telemetry::negotiate(&accept.collect::<Vec<_>>().join(","));
    let written = spawn_blocking(move || {
        let mut out = String::new();
        telemetry::write(&app, format, &mut out).map(|()| out)
    });
    match written.await {
        Ok(Ok(out)) => {
            let content_type = HeaderValue::from_static(format.content_type());
            ([(CONTENT_TYPE, content_type)], out).into_response()
        }
        Ok(Err(_)) | Err(_) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written")
        }
    }
}
