//! Answers that several handlers give.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::app::NotReady;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const STOPPING: HeaderName = HeaderName::from_static("x-prometheus-stopping");

/// Plain text, one line.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    let mut text = text.into();
    text.push('\n');
    (status, [(CONTENT_TYPE, PLAIN)], text).into_response()
}

/// As Prometheus says it.
impl IntoResponse for NotReady {
    fn into_response(self) -> Response {
        let stopping = HeaderValue::from_static(if self.is_stopping { "true" } else { "false" });
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
        response.headers_mut().insert(STOPPING, stopping);
        response
    }
}
