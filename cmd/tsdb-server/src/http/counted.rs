//! Counts requests by their routes.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::telemetry::Requests;

/// Answers a request, and counts it under its route: what a client makes up is no label.
pub(super) async fn counted(
    State(requests): State<Requests>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let handler = route.as_ref().map_or("unknown", MatchedPath::as_str);
    requests.answered(handler, response.status().as_u16(), begun.elapsed());
    response
}
