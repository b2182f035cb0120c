//! Routes, and what all answers have in common.

mod answer;
mod body;
mod counted;
mod health;
mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};

pub(crate) use self::answer::text;
pub(crate) use self::body::{BodyBudget, BodyError};
use crate::app::App;
use crate::web_config::{self, WebConfig};
use crate::{api, page, read, write};

/// All routes.
pub(crate) fn router(app: &Arc<App>, web_config: Option<&Arc<WebConfig>>) -> Router {
    let requests = app.metrics.requests.clone();
    let router = Router::new()
        .route("/-/healthy", get(health::healthy))
        .route("/-/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/read", post(read::read))
        .nest("/api/v1", api::router())
        .merge(page::router())
        .layer(middleware::from_fn_with_state(requests, counted::counted))
        .with_state(Arc::clone(app));
    match web_config {
        // Outermost: who is not let in reaches nothing, not even a route that there is not.
        Some(config) => {
            router.layer(middleware::from_fn_with_state(Arc::clone(config), web_config::guard))
        }
        None => router,
    }
}
