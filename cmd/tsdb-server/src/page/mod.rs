//! `/`: one page, embedded; it asks `/api/v1/status/overview` and nobody else.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;

type Asset = ([(HeaderName, HeaderValue); 3], &'static str);

/// The page and what it loads.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| async { asset("text/html", include_str!("index.html")) }))
        .route("/app.js", get(|| async { asset("text/javascript", include_str!("app.js")) }))
        .route("/icon.svg", get(|| async { asset("image/svg+xml", include_str!("icon.svg")) }))
        .route("/style.css", get(|| async { asset("text/css", include_str!("style.css")) }))
}

fn asset(content_type: &'static str, text: &'static str) -> Asset {
    let content_type = match content_type {
        "text/html" => HeaderValue::from_static("text/html; charset=utf-8"),
        "image/svg+xml" => HeaderValue::from_static("image/svg+xml"),
        "text/css" => HeaderValue::from_static("text/css; charset=utf-8"),
        _ => HeaderValue::from_static("text/javascript; charset=utf-8"),
    };
    let policy = HeaderValue::from_static("default-src 'self'; frame-ancestors 'self'");
    let cache = HeaderValue::from_static("no-cache");
    let headers =
        [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, cache)];
    (headers, text)
}
