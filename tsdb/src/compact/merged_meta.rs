//! The meta of a block that is merged from others.

use std::collections::BTreeSet;

use tsdb_format::meta::{
    BlockDesc, BlockMeta, BlockStats, Compaction, HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES,
    HINT_STALE_SERIES, META_VERSION, Ulid,
};

/// The meta of block `id`, merged from `sources`, without statistics.
///
/// It covers what its sources cover and is one level above the highest of them. The out-of-order
/// hint stays only if every source carries it, a partial-view hint if any does: at start-up,
/// Prometheus drops write-ahead log samples older than the newest block without such a hint, so
/// that a lost hint loses samples.
#[must_use]
pub fn merged_meta(id: Ulid, sources: &[&BlockMeta]) -> BlockMeta {
    let mut compaction = Compaction {
        level: sources.iter().map(|meta| meta.compaction.level).max().unwrap_or(0) + 1,
        sources: sources
            .iter()
            .flat_map(|meta| meta.compaction.sources.iter().copied())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        parents: sources.iter().map(|meta| describe(meta)).collect(),
        ..Compaction::default()
    };
    for hint in [HINT_STALE_SERIES, HINT_SELECTED_SERIES] {
        if sources.iter().any(|meta| meta.compaction.has_hint(hint)) {
            compaction.set_hint(hint);
        }
    }
    if sources.iter().all(|meta| meta.compaction.has_hint(HINT_OUT_OF_ORDER)) {
        compaction.set_hint(HINT_OUT_OF_ORDER);
    }
    BlockMeta {
        ulid: id,
        min_time: sources.iter().map(|meta| meta.min_time).min().unwrap_or(0),
        max_time: sources.iter().map(|meta| meta.max_time).max().unwrap_or(0),
        stats: BlockStats::default(),
        compaction,
        version: META_VERSION,
        other: serde_json::Map::new(),
    }
}

fn describe(meta: &BlockMeta) -> BlockDesc {
    BlockDesc { ulid: meta.ulid, min_time: meta.min_time, max_time: meta.max_time }
}
