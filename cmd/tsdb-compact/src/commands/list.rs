//! `list`: the blocks of a directory.

use clap::Args;
use tsdb::compact::{ListedBlock, list_blocks};

use super::plan::{broken_json, print_broken};
use crate::args::{DirArg, GlobalArgs};
use crate::output::{Outcome, Table, print_json};
use crate::paths::require_data_dir;
use crate::units::{display_bytes, display_time};

/// List the blocks of a data directory
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact list /var/lib/prometheus
  tsdb-compact list -r /var/lib/prometheus
  tsdb-compact list /var/lib/prometheus --json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    dir: DirArg,
    /// Times as dates and sizes in units, as promtool's flag of that name.
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
        print_table(&blocks, args.human_readable)?;
        print_broken(&listing.broken);
    }
    Ok(if listing.broken.is_empty() { Outcome::Done } else { Outcome::Findings })
}

fn print_table(blocks: &[&ListedBlock], readable: bool) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        "BLOCK ULID",
        "MIN TIME",
        "MAX TIME",
        "DURATION",
        "NUM SAMPLES",
        "NUM CHUNKS",
        "NUM SERIES",
        "LEVEL",
        "SIZE",
        "NOTES",
    ]);
    for block in blocks {
        let meta = &block.meta;
        let time = |ms: i64| if readable { display_time(ms) } else { ms.to_string() };
        let size = size_bytes(block);
        let duration = meta.max_time.saturating_sub(meta.min_time);
        table.row(vec![
            meta.ulid.to_string(),
            time(meta.min_time),
            time(meta.max_time),
            tsdb::compact::planner::display_range_ms(duration),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            meta.compaction.level.to_string(),
            if readable { display_bytes(size) } else { size.to_string() },
            notes(block),
        ]);
    }
    table.print()
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
        "path": block.dir,
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
