//! The handler: everything around the answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc;
use tsdb::db::Db;

use super::error::ReadError;
use super::request::{ReadQuery, ReadRequest, ResponseType};
use super::samples;
use super::stream::{PIECES_MAX, Piece, Pieces, PiecesBody};
use crate::app::{App, Opened};
use crate::http::text;
use crate::write::{MESSAGE_BYTES_MAX, snappy};

const SAMPLES: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const SNAPPY: HeaderValue = HeaderValue::from_static("snappy");
const STREAM: HeaderValue = HeaderValue::from_static(
    "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse",
);

/// `POST /api/v1/read`.
pub(crate) async fn read(State(app): State<Arc<App>>, request: Request) -> Response {
    let opened = match app.ready() {
        Ok(opened) => opened,
        Err(not_ready) => return not_ready.into_response(),
    };
    let limit = app.config.read_timeout;
    let body = app.bodies.receive(request.into_body(), MESSAGE_BYTES_MAX, limit).await;
    let body = match body {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let asked = snappy(body.bytes(), MESSAGE_BYTES_MAX)
        .map_err(ReadError::from)
        .and_then(|message| ReadRequest::read(&message));
    drop(body);
    let ReadRequest { queries, response_type } = match asked {
        Ok(asked) => asked,
        Err(error) => return error.into_response(),
    };
    let running = Running::new(&app.metrics.remote_reads);
    match response_type {
        ResponseType::Samples => answer_samples(&app, opened, queries, running).await,
        ResponseType::StreamedChunks => answer_stream(&app, opened, queries, running).await,
    }
}

async fn answer_samples(
    app: &App,
    opened: &Opened,
    queries: Vec<ReadQuery>,
    running: Running,
) -> Response {
    let samples_max = app.config.remote_read.samples_max;
    let call = move |db: &Db| {
        let _running = running;
        samples::answer(db, &queries, samples_max)
    };
    match opened.reads.call(call).await {
        Ok(Ok(answer)) => {
            ([(CONTENT_TYPE, SAMPLES), (CONTENT_ENCODING, SNAPPY)], answer).into_response()
        }
        Ok(Err(error)) => error.into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The answer begins with its first piece; until then an error has a status of its own.
async fn answer_stream(
    app: &App,
    opened: &Opened,
    queries: Vec<ReadQuery>,
    running: Running,
) -> Response {
    let (to, mut rest) = mpsc::channel(PIECES_MAX);
    let pieces = Pieces::new(to, app.config.read_timeout);
    let frame_bytes_max = app.config.remote_read.frame_bytes_max;
    let reads = opened.reads.clone();
    tokio::spawn(async move {
        let make = move |db: &Db| {
            let _running = running;
            pieces.make(db, &queries, frame_bytes_max);
        };
        // Without it there is no end either: the body's sender is gone.
        if let Err(error) = reads.call(make).await {
            tracing::error!("a remote read did not come to its end: {error}");
        }
    });
    match rest.recv().await {
        Some(Piece::Failed(error)) => error.into_response(),
        None => text(StatusCode::INTERNAL_SERVER_ERROR, "the read did not come to its end"),
        first => ([(CONTENT_TYPE, STREAM)], Body::new(PiecesBody { first, rest })).into_response(),
    }
}

/// Counts a read for as long as it runs or waits.
struct Running(Gauge);

impl Running {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}
