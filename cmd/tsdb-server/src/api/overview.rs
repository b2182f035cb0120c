//! `/api/v1/status/overview`: what the page at `/` shows. Not Prometheus's.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use serde::Serialize;
use tsdb::block::Block;
use tsdb::compact::Phase;
use tsdb::db::Db;

use super::answer::{Answer, Answered};
use crate::app::App;
use crate::telemetry::{CgroupMemory, ProcessStats};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview {
    now_ms: u64,
    version: &'static str,
    retention: String,
    head: HeadOverview,
    blocks: Vec<BlockOverview>,
    blocks_bytes: u64,
    /// Blocks that are not served, and why.
    problems: Vec<String>,
    compaction: Option<CompactionOverview>,
    memory: MemoryOverview,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeadOverview {
    series: u64,
    chunks: u64,
    /// `None` as long as there is no sample.
    min_time_ms: Option<i64>,
    max_time_ms: Option<i64>,
    samples_appended: u64,
    out_of_order_samples_appended: u64,
    memory_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockOverview {
    ulid: String,
    level: u32,
    min_time_ms: i64,
    max_time_ms: i64,
    bytes: u64,
    series: u64,
    samples: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CompactionOverview {
    phase: &'static str,
    planned_bytes: u64,
    done_bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryOverview {
    resident_bytes: Option<u64>,
    cgroup: Option<CgroupMemory>,
}

/// All of it, as of now.
pub(super) async fn overview(State(app): State<Arc<App>>) -> Answered {
    let retention = app.config.retention_text();
    app.ready()?.queries.call(move |db: &Db| Answer::new(&read(db, retention))).await?
}

fn read(db: &Db, retention: String) -> Overview {
    let blocks: Vec<BlockOverview> = db.blocks().iter().map(|block| of_block(block)).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Nothing is planned as long as only plans are looked for.
    let progress = db.compaction_progress().filter(|progress| progress.planned_bytes() > 0);
    let compaction = progress.map(|progress| CompactionOverview {
        phase: phase_name(progress.phase()),
        planned_bytes: progress.planned_bytes(),
        done_bytes: progress.done_bytes(),
    });
    Overview {
        now_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        version: env!("CARGO_PKG_VERSION"),
        retention,
        head: of_head(db),
        blocks_bytes: blocks.iter().map(|block| block.bytes).sum(),
        blocks,
        problems: db.problems().iter().map(|problem| problem.error.to_string()).collect(),
        compaction,
        memory: MemoryOverview {
            resident_bytes: ProcessStats::read().resident_bytes,
            cgroup: CgroupMemory::read(),
        },
    }
}

fn of_head(db: &Db) -> HeadOverview {
    let stats = db.head().stats();
    let is_empty = stats.head_min_time > stats.head_max_time;
    let time = |time| if is_empty { None } else { Some(time) };
    HeadOverview {
        series: stats.head_series,
        chunks: stats.head_chunks,
        min_time_ms: time(stats.head_min_time),
        max_time_ms: time(stats.head_max_time),
        samples_appended: stats.head_samples_appended_float_total
            + stats.head_samples_appended_histogram_total,
        out_of_order_samples_appended: stats.head_out_of_order_samples_appended_float_total
            + stats.head_out_of_order_samples_appended_histogram_total,
        memory_bytes: stats.memory_bytes,
    }
}

fn of_block(block: &Block) -> BlockOverview {
    let meta = block.meta();
    BlockOverview {
        ulid: meta.ulid.to_string(),
        level: meta.compaction.level,
        min_time_ms: meta.min_time,
        max_time_ms: meta.max_time,
        bytes: block.len_bytes(),
        series: meta.stats.num_series,
        samples: meta.stats.num_samples,
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Open => "opening sources",
        Phase::Symbols => "merging symbols",
        Phase::Copy => "copying chunks",
        Phase::Index => "writing the index",
        Phase::Verify => "reading back",
        Phase::Publish => "publishing",
        _ => "working",
    }
}
