//! `/api/v1/status`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use serde::Serialize;
use tsdb::db::Db;
use tsdb_format::meta::BlockMeta;

use super::answer::{Answer, Answered, ApiError};
use super::cardinality::{Cardinality, Stat};
use super::params::Params;
use super::time::display_time;
use crate::app::App;
use crate::telemetry::ProcessStats;

const LIMIT: usize = 10;
const LIMIT_MAX: usize = 10_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TsdbStatus {
    head_stats: HeadStatus,
    series_count_by_metric_name: Vec<Stat>,
    label_value_count_by_label_name: Vec<Stat>,
    memory_in_bytes_by_label_name: Vec<Stat>,
    series_count_by_label_value_pair: Vec<Stat>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadStatus {
    num_series: u64,
    num_label_pairs: usize,
    chunk_count: u64,
    min_time: i64,
    max_time: i64,
}

/// The head, and which labels weigh most in it.
pub(super) async fn tsdb(State(app): State<Arc<App>>, request: Request) -> Answered {
    let params = Params::of(&app, request).await?;
    let limit = match params.get("limit").map(str::parse::<usize>) {
        None => LIMIT,
        Some(Ok(limit)) if limit > LIMIT_MAX => {
            return Err(ApiError::BadData(format!("limit must not exceed {LIMIT_MAX}")));
        }
        Some(Ok(limit)) if limit > 0 => limit,
        Some(_) => return Err(ApiError::BadData("limit must be a positive number".to_owned())),
    };
    let cache = Arc::clone(&app.cardinality);
    let status = move |db: &Db| -> Answered {
        let Cardinality {
            label_pairs,
            series_by_metric,
            values_by_name,
            bytes_by_name,
            series_by_pair,
        } = cache.get(db, limit)?;
        let stats = db.head().stats();
        Answer::new(&TsdbStatus {
            head_stats: HeadStatus {
                num_series: stats.head_series,
                num_label_pairs: label_pairs,
                chunk_count: stats.head_chunks,
                min_time: stats.head_min_time,
                max_time: stats.head_max_time,
            },
            series_count_by_metric_name: series_by_metric,
            label_value_count_by_label_name: values_by_name,
            memory_in_bytes_by_label_name: bytes_by_name,
            series_count_by_label_value_pair: series_by_pair,
        })
    };
    app.ready()?.queries.call(status).await?
}

#[derive(Serialize)]
struct Blocks {
    blocks: Vec<BlockMeta>,
}

/// The blocks that are served, each with its `meta.json`.
pub(super) async fn blocks(State(app): State<Arc<App>>) -> Answered {
    let blocks = app.ready()?.queries.db().blocks();
    let blocks = blocks.iter().map(|block| block.meta().clone()).collect();
    Answer::new(&Blocks { blocks })
}

/// All flags as they apply.
pub(super) async fn flags(State(app): State<Arc<App>>) -> Answered {
    app.ready()?;
    Answer::new(&app.config.flags)
}

/// What Prometheus tells of its process. What is Go's alone is empty.
#[derive(Serialize)]
struct RuntimeInfo {
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "CWD")]
    cwd: String,
    hostname: String,
    #[serde(rename = "serverTime")]
    server_time: String,
    #[serde(rename = "reloadConfigSuccess")]
    reload_config_success: bool,
    #[serde(rename = "lastConfigTime")]
    last_config_time: String,
    #[serde(rename = "corruptionCount")]
    corruption_count: usize,
    #[serde(rename = "goroutineCount")]
    goroutine_count: u64,
    #[serde(rename = "GOMAXPROCS")]
    gomaxprocs: usize,
    #[serde(rename = "GOMEMLIMIT")]
    gomemlimit: i64,
    #[serde(rename = "GOGC")]
    gogc: &'static str,
    #[serde(rename = "GODEBUG")]
    godebug: &'static str,
    #[serde(rename = "storageRetention")]
    storage_retention: String,
}

/// The process.
pub(super) async fn runtime_info(State(app): State<Arc<App>>) -> Answered {
    let opened = app.ready()?;
    let started = display_time(app.started);
    let cwd = std::env::current_dir().map(|dir| dir.to_string_lossy().into_owned());
    let name = rustix::system::uname();
    let replayed = opened.queries.db().replayed();
    Answer::new(&RuntimeInfo {
        start_time: started.clone(),
        cwd: cwd.unwrap_or_default(),
        hostname: name.nodename().to_string_lossy().into_owned(),
        server_time: display_time(SystemTime::now()),
        reload_config_success: true,
        last_config_time: started,
        corruption_count: replayed.log_repairs.len(),
        goroutine_count: ProcessStats::read().threads.unwrap_or(0),
        gomaxprocs: std::thread::available_parallelism().map_or(1, usize::from),
        gomemlimit: i64::MAX,
        gogc: "",
        godebug: "",
        storage_retention: app.config.retention_text(),
    })
}

#[derive(Serialize)]
struct WalReplay {
    min: u32,
    max: u32,
    current: u32,
}

/// How far the replay of the log is; answered before the server is ready, too.
pub(super) async fn wal_replay(State(app): State<Arc<App>>) -> Answered {
    let (min, current, max) = app.opening.progress.segments();
    Answer::new(&WalReplay { min, max, current })
}
