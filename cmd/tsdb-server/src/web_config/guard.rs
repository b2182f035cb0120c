//! What stands in front of all handlers: headers and authentication.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::auth::Credentials;
use super::watched::WebConfig;
use crate::http::text;

/// Lets through who may, and adds headers to the answer.
pub(crate) async fn guard(
    State(config): State<Arc<WebConfig>>,
    request: Request,
    next: Next,
) -> Response {
    let loaded = config.current();
    let header = request.headers().get(AUTHORIZATION);
    let credentials = header.and_then(|header| Credentials::parse(header.as_bytes()));
    let is_let_in = match credentials {
        _ if loaded.users.is_empty() => true,
        Some(credentials) => loaded.users.are_right(credentials).await,
        None => false,
    };
    let mut response = if is_let_in {
        next.run(request).await
    } else {
        let mut response = text(StatusCode::UNAUTHORIZED, "Unauthorized");
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        response
    };
    for (name, value) in &loaded.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}
