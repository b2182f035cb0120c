//! The envelope of all answers.
//!
//! ```text
//!   {"status":"success","data":...,"warnings":[...]}
//!   {"status":"error","errorType":"bad_data","error":"..."}
//! ```

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tsdb::db::{AsyncDbError, DbError};
use tsdb::query::QueryError;

use crate::app::NotReady;
use crate::http::BodyError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What Prometheus says when there is more than the limit.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// Data as JSON, and what there is to say about it.
#[derive(Debug, Default)]
pub(super) struct Answer {
    data: Vec<u8>,
    warnings: Vec<&'static str>,
}

/// What a handler comes to.
pub(super) type Answered = Result<Answer, ApiError>;

impl Answer {
    /// `data` as JSON.
    pub(super) fn new(data: &impl Serialize) -> Answered {
        Ok(Self::of_json(serde_json::to_vec(data)?))
    }

    /// Of data that is JSON already.
    pub(super) fn of_json(data: Vec<u8>) -> Self {
        Self { data, warnings: Vec::new() }
    }

    /// With a warning if something was left out.
    pub(super) fn truncated(mut self, is_truncated: bool) -> Self {
        if is_truncated {
            self.warnings.push(TRUNCATED);
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut body = br#"{"status":"success","data":"#.to_vec();
        body.extend_from_slice(&self.data);
        if let (false, Ok(warnings)) =
            (self.warnings.is_empty(), serde_json::to_vec(&self.warnings))
        {
            body.extend_from_slice(br#","warnings":"#);
            body.extend_from_slice(&warnings);
        }
        body.push(b'}');
        ([(CONTENT_TYPE, JSON)], body).into_response()
    }
}

/// Why a request has no data.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    BadData(String),
    #[error("{0}")]
    Unavailable(&'static str),
    #[error(transparent)]
    Execution(#[from] QueryError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Call(#[from] AsyncDbError),
    #[error("the answer could not be written: {0}")]
    Json(#[from] serde_json::Error),
    #[error("Service Unavailable")]
    NotReady(NotReady),
    #[error("the request could not be read")]
    Body(BodyError),
}

impl From<NotReady> for ApiError {
    fn from(not_ready: NotReady) -> Self {
        Self::NotReady(not_ready)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl ApiError {
    /// A parameter that can't be used.
    pub(super) fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::BadData(format!("invalid parameter {name:?}: {reason}"))
    }

    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadData(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            Self::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Self::Unavailable(_)
            | Self::Db(DbError::Closed)
            | Self::Call(AsyncDbError::Db(DbError::Closed)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

#[derive(Serialize)]
struct ErrorBody {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, error_type) = match self {
            Self::NotReady(not_ready) => return not_ready.into_response(),
            Self::Body(error) => return error.into_response(),
            ref error => error.kind(),
        };
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!("a request failed: {self}");
        }
        let body = ErrorBody { status: "error", error_type, error: self.to_string() };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        (status, [(CONTENT_TYPE, JSON)], body).into_response()
    }
}

/// Pairs of name and value as an object.
#[derive(Debug)]
pub(super) struct LabelsJson<'a>(pub(super) &'a [(&'a str, &'a str)]);

impl Serialize for LabelsJson<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
