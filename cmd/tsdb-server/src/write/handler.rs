//! The handler: everything around the message.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tsdb::db::Db;

use super::decompress::{MESSAGE_BYTES_MAX, decompress};
use super::negotiate::{Encoding, MessageType, negotiate};
use super::outcome::{Outcome, StoreError};
use super::receiver::{Receiver, Rules};
use super::{v1, v2};
use crate::app::App;
use crate::http::text;

/// `POST /api/v1/write`.
pub(crate) async fn write(State(app): State<Arc<App>>, request: Request) -> Response {
    if !app.config.remote_write.enabled {
        let how = "remote write receiver needs to be enabled with \
            --web.enable-remote-write-receiver";
        return text(StatusCode::NOT_FOUND, how);
    }
    let opened = match app.ready() {
        Ok(opened) => opened,
        Err(not_ready) => return not_ready.into_response(),
    };
    let accepted = &app.config.remote_write.messages;
    let (message_type, encoding) = match negotiate(request.headers(), accepted) {
        Ok(kind) => kind,
        Err(unsupported) => return unsupported.into_response(),
    };
    let limit = app.config.read_timeout;
    let body = app.bodies.receive(request.into_body(), MESSAGE_BYTES_MAX, limit).await;
    let body = match body {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let call = {
        let app = Arc::clone(&app);
        move |db: &Db| store(&app, db, (message_type, encoding), body.bytes())
    };
    match opened.appends.call(call).await {
        Ok(Ok(outcome)) => {
            account(&app, &outcome);
            outcome.into_response(message_type)
        }
        Ok(Err(error)) => {
            tracing::warn!("a remote write request is not stored: {error}");
            error.into_response(message_type)
        }
        Err(error) => {
            tracing::error!("a remote write request is not stored: {error}");
            text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
    }
}

/// Stores a request, or nothing of it; blocks.
fn store(
    app: &App,
    db: &Db,
    (message_type, encoding): (MessageType, Encoding),
    body: &[u8],
) -> Result<Outcome, StoreError> {
    let message = decompress(encoding, body)?;
    let (features, limits) = (app.config.features, app.config.remote_write.label_limits);
    let rules = Rules::new(features.st_storage, features.metadata_wal_records, limits);
    let mut receiver = Receiver::new(db.appender().map_err(StoreError::Appender)?, rules);
    // Dropped on the way out, the appender rolls back.
    match message_type {
        MessageType::V1 => v1::store(&message, &mut receiver, &app.metadata)?,
        MessageType::V2 => v2::store(&message, &mut receiver, &app.metadata)?,
    }
    receiver.commit().map_err(StoreError::Commit)
}

/// Counts and logs what was refused.
fn account(app: &App, outcome: &Outcome) {
    let counters = &app.metrics.remote_write;
    counters.invalid_labels.inc_by(outcome.with_invalid_labels);
    counters.without_metadata.inc_by(outcome.without_metadata);
    counters.refused.inc_by(outcome.refused.count());
    if let Some(first) = outcome.refused.first() {
        let count = outcome.refused.count();
        tracing::warn!(count, first, "a remote write request is refused in part");
    }
}
