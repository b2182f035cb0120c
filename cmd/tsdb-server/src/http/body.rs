//! Bodies of requests: how long they may be, how long they may take, and how much of the memory all
//! of them together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::answer::text;

/// What the budget is counted in.
const UNIT_BYTES: usize = 1 << 10;

/// Memory for bodies that have arrived in part or whole, of all requests together. A request beyond
/// it waits, and so does its sender.
#[derive(Debug, Clone)]
pub(crate) struct BodyBudget(Arc<Semaphore>);

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge { limit_bytes: usize },
    TooSlow,
    Broken,
}

/// A body, and its share of the budget for as long as it is kept.
pub(crate) struct Received {
    bytes: Vec<u8>,
    _share: Option<OwnedSemaphorePermit>,
}

impl Received {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// The whole body of a request, if it has no more than `limit_bytes` and is here in time.
    pub(crate) async fn receive(
        &self,
        body: Body,
        limit_bytes: usize,
        limit: Duration,
    ) -> Result<Received, BodyError> {
        if body.size_hint().lower() > limit_bytes as u64 {
            return Err(BodyError::TooLarge { limit_bytes });
        }
        let received = timeout(limit, self.collect(body, limit_bytes)).await;
        received.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn collect(&self, mut body: Body, limit_bytes: usize) -> Result<Received, BodyError> {
        let mut bytes = Vec::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        let mut shared_bytes = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| BodyError::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limit_bytes {
                return Err(BodyError::TooLarge { limit_bytes });
            }
            let more = (bytes.len() + data.len()).saturating_sub(shared_bytes);
            let units = more.div_ceil(UNIT_BYTES);
            if units > 0 {
                let more = self.take(units).await?;
                shared_bytes += units * UNIT_BYTES;
                match &mut share {
                    Some(share) => share.merge(more),
                    None => share = Some(more),
                }
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes, _share: share })
    }

    async fn take(&self, units: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let units = u32::try_from(units).map_err(|_| BodyError::Broken)?;
        // Never closed.
        Arc::clone(&self.0).acquire_many_owned(units).await.map_err(|_| BodyError::Broken)
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        match self {
            Self::TooLarge { limit_bytes } => {
                let limit = format!("request body exceeds the {limit_bytes} bytes limit");
                text(StatusCode::PAYLOAD_TOO_LARGE, limit)
            }
            Self::TooSlow => {
                text(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time")
            }
            Self::Broken => text(StatusCode::BAD_REQUEST, "the request did not arrive whole"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn length_and_time_are_limited() {
        let budget = BodyBudget::new(1 << 20);
        let whole = budget.receive(Body::from(vec![7; 5000]), 5000, LIMIT).await.ok().unwrap();
        assert_eq!(whole.bytes(), [7; 5000]);
        let long = budget.receive(Body::from(vec![7; 5001]), 5000, LIMIT).await.err();
        assert_eq!(long, Some(BodyError::TooLarge { limit_bytes: 5000 }));
    }

    #[tokio::test]
    async fn all_bodies_together_are_limited() {
        let budget = BodyBudget::new(4 << 10);
        let held = budget.receive(Body::from(vec![7; 3000]), 5000, LIMIT).await.ok().unwrap();
        let late = budget.receive(Body::from(vec![7; 3000]), 5000, LIMIT).await.err();
        assert_eq!(late, Some(BodyError::TooSlow));
        drop(held);
        assert!(budget.receive(Body::from(vec![7; 3000]), 5000, LIMIT).await.is_ok());
    }
}
