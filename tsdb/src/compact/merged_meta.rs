//! The meta of a block that is merged from others.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tsdb_format::meta::{
    BlockDesc, BlockMeta, BlockStats, Compaction, HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES,
    HINT_STALE_SERIES, META_VERSION, Ulid,
};

/// The meta of block `id`, merged from `sources`, without statistics.
///
/// It covers what its sources cover and is one level above the highest of them (a merge refuses a
/// source that has the highest level there is). The out-of-order
/// hint stays only if every source carries it, a partial-view hint if any does: at start-up,
/// Prometheus drops write-ahead log samples older than the newest block without such a hint, so
/// that a lost hint loses samples.
#[must_use]
pub fn merged_meta(id: Ulid, sources: &[&BlockMeta]) -> BlockMeta {
    let mut compaction = Compaction {
        level: sources
            .iter()
            .map(|meta| meta.compaction.level)
            .max()
            .unwrap_or(0)
            .saturating_add(1),
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
        other: merged_thanos(sources),
    }
}

/// The section that Thanos and Mimir keep, if the sources have one: what identifies the group, as
/// the sources agree on it. Lists of files and statistics of the index are derived from a block's
/// content and would be wrong; they are left out, and made anew by whoever needs them.
fn merged_thanos(sources: &[&BlockMeta]) -> Map<String, Value> {
    let sections: Vec<&Map<String, Value>> =
        sources.iter().filter_map(|meta| meta.other.get("thanos")?.as_object()).collect();
    let mut merged = Map::new();
    for field in ["version", "labels", "downsample", "extensions"] {
        let mut values = sections.iter().map(|section| section.get(field));
        if let Some(Some(value)) = values.next()
            && values.all(|other| other == Some(value))
        {
            merged.insert(field.to_owned(), value.clone());
        }
    }
    if sections.is_empty() {
        return Map::new();
    }
    merged.insert("source".to_owned(), Value::from("compactor"));
    Map::from_iter([("thanos".to_owned(), Value::Object(merged))])
}

fn describe(meta: &BlockMeta) -> BlockDesc {
    BlockDesc { ulid: meta.ulid, min_time: meta.min_time, max_time: meta.max_time }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_labels_stay_and_derived_fields_go() {
        let meta = |thanos: Value| {
            let mut meta = merged_meta(Ulid::nil(), &[]);
            meta.other.insert("thanos".to_owned(), thanos);
            meta
        };
        let a = meta(
            serde_json::json!({"labels": {"replica": "a"}, "files": [1], "source": "sidecar"}),
        );
        let b = meta(serde_json::json!({"labels": {"replica": "a"}, "index_stats": {}}));
        let merged = merged_meta(Ulid::nil(), &[&a, &b]);
        let want = serde_json::json!({"labels": {"replica": "a"}, "source": "compactor"});
        assert_eq!(merged.other["thanos"], want);
        assert!(merged_meta(Ulid::nil(), &[]).other.is_empty());
    }
}
