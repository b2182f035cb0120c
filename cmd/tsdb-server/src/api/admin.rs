//! `/api/v1/admin/tsdb`: off unless enabled.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use tsdb::db::Db;

use super::answer::{Answer, Answered, ApiError};
use super::params::Params;
use super::time::compact_time;
use crate::app::App;

/// Where copies go, in the data directory.
const SNAPSHOTS: &str = "snapshots";

#[derive(Serialize)]
struct SnapshotName {
    name: String,
}

fn check_enabled(app: &App) -> Result<(), ApiError> {
    if app.config.enable_admin_api {
        Ok(())
    } else {
        Err(ApiError::Unavailable("admin APIs disabled"))
    }
}

/// Deletes the samples of a range from the series that satisfy one of the selectors.
pub(super) async fn delete_series(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    check_enabled(&app)?;
    let params = Params::of(&app, request).await?;
    let opened = app.ready()?;
    let (range, selectors) = (params.range()?, params.required_selectors()?);
    for matchers in selectors {
        let deleted = opened.queries.delete(matchers, range).await?;
        tracing::info!(?deleted, "series were deleted");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Rewrites blocks without what is deleted.
pub(super) async fn clean(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    check_enabled(&app)?;
    let cleaned = app.ready()?.queries.call(Db::clean_tombstones).await??;
    tracing::info!(?cleaned, "tombstones were cleaned");
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a copy of all blocks, and of the head unless `skip_head` is true.
pub(super) async fn snapshot(State(app): State<Arc<App>>, request: Request) -> Answered {
    check_enabled(&app)?;
    let params = Params::of(&app, request).await?;
    let skip_head = match params.get("skip_head") {
        None => false,
        Some(text) => parse_bool(text).ok_or_else(|| {
            let reason = format!("unable to parse boolean: {text:?}");
            ApiError::parameter("skip_head", reason)
        })?,
    };
    let opened = app.ready()?;
    let random = RandomState::new().build_hasher().finish() >> 1;
    let name = format!("{}-{random:016x}", compact_time(SystemTime::now()));
    let dir = app.config.dir.join(SNAPSHOTS).join(&name);
    let snapshot = opened.queries.snapshot(dir.clone(), !skip_head).await?;
    tracing::info!(?snapshot, dir = %dir.display(), "a snapshot was made");
    Answer::new(&SnapshotName { name })
}

/// What Go takes for a boolean.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
