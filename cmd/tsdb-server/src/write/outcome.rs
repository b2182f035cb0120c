//! What became of a request, and what its sender is told.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tsdb::db::DbError;
use tsdb::head::HeadError;

use super::decompress::DecompressError;
use super::negotiate::MessageType;
use crate::http::text;
use crate::protobuf::WireError;

/// So many reasons are told; the others are counted.
const REASONS_MAX: usize = 20;

const SAMPLES: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

/// What was refused for good: sending it again would not help.
#[derive(Debug, Default)]
pub(super) struct Refused {
    reasons: Vec<String>,
    count: u64,
}

impl Refused {
    /// Counts one more; `reason` is asked only if it will be told.
    pub(super) fn add(&mut self, reason: impl FnOnce() -> String) {
        if self.reasons.len() < REASONS_MAX {
            self.reasons.push(reason());
        }
        self.count += 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn first(&self) -> Option<&str> {
        self.reasons.first().map(String::as_str)
    }

    fn text(&self) -> String {
        let mut text = self.reasons.join("\n");
        let more = self.count.saturating_sub(self.reasons.len() as u64);
        if more > 0 {
            text.push_str(&format!("\n... and {more} more"));
        }
        text
    }
}

/// What became of a request that was taken, in part at least.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) written: Written,
    pub(super) refused: Refused,
    /// Samples of series whose labels can't be.
    pub(super) with_invalid_labels: u64,
    /// Samples whose metadata could not be logged.
    pub(super) without_metadata: u64,
}

/// Why nothing of a request was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    #[error("cannot decode the message: {0}")]
    Wire(#[from] WireError),
    #[error("the message has more than {max} symbols")]
    Symbols { max: usize },
    #[error(transparent)]
    Appender(DbError),
    #[error(transparent)]
    Commit(HeadError),
}

impl Outcome {
    /// 204, or 400 if something was refused; with 2.0, what was written.
    pub(super) fn into_response(self, message_type: MessageType) -> Response {
        let response = match self.refused.count {
            0 => StatusCode::NO_CONTENT.into_response(),
            _ => text(StatusCode::BAD_REQUEST, self.refused.text()),
        };
        with_written(response, message_type, self.written)
    }
}

impl StoreError {
    /// 400 where sending it again would not help, 503 where it will, 500 where it may.
    pub(super) fn into_response(self, message_type: MessageType) -> Response {
        let status = match &self {
            Self::Decompress(_) | Self::Wire(_) | Self::Symbols { .. } => StatusCode::BAD_REQUEST,
            Self::Appender(DbError::Backlog { .. } | DbError::Closed) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Commit(HeadError::Closed) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Appender(_) | Self::Commit(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        with_written(text(status, self.to_string()), message_type, Written::default())
    }
}

/// 1.0 has no such headers; a sender may take them for more than they are.
fn with_written(mut response: Response, message_type: MessageType, written: Written) -> Response {
    if message_type == MessageType::V2 {
        let headers = response.headers_mut();
        for (name, count) in [
            (SAMPLES, written.samples),
            (HISTOGRAMS, written.histograms),
            (EXEMPLARS, written.exemplars),
        ] {
            headers.insert(name, HeaderValue::from(count));
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_up_to_a_number() {
        let mut refused = Refused::default();
        (0..REASONS_MAX + 2).for_each(|number| refused.add(|| format!("reason {number}")));
        let text = refused.text();
        assert!(text.starts_with("reason 0\nreason 1\n"), "{text}");
        assert!(text.ends_with("reason 19\n... and 2 more"), "{text}");
    }
}
