//! `list`: the blocks of a directory.

use clap::Args;
use tsdb::compact::{ListedBlock, list_blocks};

use super::plan::{broken_json, print_broken};
use crate::args::{DirArg, GlobalArgs};
use crate::output::{Outcome, path_json, print_json, say};
use crate::paths::require_data_dir;
use crate::units::{go_base2_bytes, go_duration, go_time};

/// List the blocks of a data directory, as `promtool tsdb list` does
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact list /var/lib/prometheus
  tsdb-compact list -r /var/lib/prometheus
  tsdb-compact list /var/lib/prometheus --json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    dir: DirArg,
    /// Times as dates and sizes in units, as promtool's flag of that name prints them.
    #[arg(long, short = 'r')]
    human_readable: bool,
}

pub(crate) fn run(args: &ListArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    require_data_dir(&args.dir.dir)?;
    let listing = list_blocks(&args.dir.dir)?;
    let mut blocks: Vec<&ListedBlock> = listing.blocks.iter().collect();
    blocks.sort_by_key(|block| block.meta.min_time);
    if global.json {
        print_json(&serde_json::json!({
            "blocks": blocks.iter().map(|block| block_json(block)).collect::<Vec<_>>(),
            "broken": broken_json(&listing.broken),
        }))?;
    } else {
        print_table(&blocks, args.human_readable);
        print_broken(&listing.broken);
    }
    Ok(if listing.broken.is_empty() { Outcome::Done } else { Outcome::Findings })
}

/// promtool's columns, one and all, as it prints them; behind them two of ours, so that a script
/// which takes columns from the left reads either.
fn print_table(blocks: &[&ListedBlock], readable: bool) {
    let head = [
        "BLOCK ULID",
        "MIN TIME",
        "MAX TIME",
        "DURATION",
        "NUM SAMPLES",
        "NUM CHUNKS",
        "NUM SERIES",
        "SIZE",
        "LEVEL",
        "NOTES",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(blocks.iter().map(|block| row(block, readable)));
    let widths: [usize; 10] = std::array::from_fn(|column| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (widest + CELL_GAP).max(CELL_WIDTH_MIN)
    });
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        say!("{}", cells.collect::<String>().trim_end());
    }
}

/// Between two columns, and the least that a column takes: those of promtool's tables.
const CELL_GAP: usize = 2;
const CELL_WIDTH_MIN: usize = 13;

fn row(block: &ListedBlock, readable: bool) -> [String; 10] {
    let meta = &block.meta;
    let time = |ms: i64| if readable { go_time(ms) } else { ms.to_string() };
    let size = size_bytes(block);
    [
        meta.ulid.to_string(),
        time(meta.min_time),
        time(meta.max_time),
        go_duration(meta.max_time.saturating_sub(meta.min_time)),
        meta.stats.num_samples.to_string(),
        meta.stats.num_chunks.to_string(),
        meta.stats.num_series.to_string(),
        if readable { go_base2_bytes(size) } else { size.to_string() },
        meta.compaction.level.to_string(),
        notes(block),
    ]
}

/// Hints, marks and tombstones in a few words.
fn notes(block: &ListedBlock) -> String {
    let mut notes = block.meta.compaction.hints.clone();
    if block.meta.stats.num_tombstones > 0 {
        notes.push(format!("{} tombstones", block.meta.stats.num_tombstones));
    }
    if block.meta.compaction.failed {
        notes.push("marked failed".to_owned());
    }
    notes.extend(block.plan_block.no_compact.as_ref().map(ToString::to_string));
    notes.join(", ")
}

fn size_bytes(block: &ListedBlock) -> u64 {
    let len = |path: std::path::PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let parts = ["index", "meta.json", "tombstones"].map(|part| len(block.dir.join(part)));
    let segments = std::fs::read_dir(block.dir.join("chunks")).into_iter().flatten().flatten();
    parts.iter().sum::<u64>() + segments.map(|entry| len(entry.path())).sum::<u64>()
}

fn block_json(block: &ListedBlock) -> serde_json::Value {
    serde_json::json!({
        "ulid": block.meta.ulid.to_string(),
        "path": path_json(&block.dir),
        "minTime": block.meta.min_time,
        "maxTime": block.meta.max_time,
        "stats": block.meta.stats,
        "level": block.meta.compaction.level,
        "hints": block.meta.compaction.hints,
        "failed": block.meta.compaction.failed,
        "noCompact": block.plan_block.no_compact.as_ref().map(ToString::to_string),
        "sizeBytes": size_bytes(block),
    })
}
