//! Why a read is not answered, or not to its end.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tsdb::db::DbError;
use tsdb::query::{PatternError, QueryError};
use tsdb_format::chunkenc::AppendError;

use crate::http::text;
use crate::protobuf::WireError;
use crate::write::DecompressError;

/// Why a read is not answered, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    #[error("cannot decode the message: {0}")]
    Wire(#[from] WireError),
    #[error("a name or value that is not UTF-8")]
    NotUtf8,
    #[error("unknown matcher type {0}")]
    MatcherType(u64),
    #[error("{name:?}: {source}")]
    Pattern { name: String, source: PatternError },
    #[error("the request has more than {max} queries")]
    Queries { max: usize },
    #[error("server does not support any of the requested response types")]
    ResponseTypes,
    #[error("exceeded sample limit ({max})")]
    Samples { max: u64 },
    #[error("the answer is too long to be compressed: {0}")]
    Compress(#[from] snap::Error),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("cannot encode a chunk: {0}")]
    Encode(#[from] AppendError),
    #[error(transparent)]
    Db(#[from] DbError),
    /// Nobody reads the answer any more, or too slowly.
    #[error("the reader is gone, or too slow")]
    Gone,
}

impl ReadError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Decompress(_)
            | Self::Wire(_)
            | Self::NotUtf8
            | Self::MatcherType(_)
            | Self::Pattern { .. }
            | Self::Queries { .. }
            | Self::ResponseTypes
            | Self::Samples { .. } => StatusCode::BAD_REQUEST,
            Self::Db(DbError::Closed) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Compress(_) | Self::Query(_) | Self::Encode(_) | Self::Db(_) | Self::Gone => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

impl IntoResponse for ReadError {
    fn into_response(self) -> Response {
        text(self.status(), self.to_string())
    }
}
