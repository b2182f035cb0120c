//! From a block's meta.json to what the planner knows of it.

use std::collections::BTreeMap;

use serde_json::Value;
use tsdb_format::meta::BlockMeta;

use super::planner::{BlockClass, GroupKey, NoCompact, PlanBlock};

/// What the planner knows of the block in directory `dir_name`.
#[must_use]
pub fn plan_block(dir_name: &str, meta: &BlockMeta, no_compact: Option<NoCompact>) -> PlanBlock {
    PlanBlock {
        id: meta.ulid,
        dir_name: dir_name.to_owned(),
        min_time: meta.min_time,
        max_time: meta.max_time,
        num_series: meta.stats.num_series,
        num_tombstones: meta.stats.num_tombstones,
        level: meta.compaction.level,
        failed: meta.compaction.failed,
        class: BlockClass::of_hints(&meta.compaction.hints),
        group: group_key(meta),
        no_compact,
    }
}

/// What a block must share with others to be merged with them: Thanos's and Mimir's external
/// labels, resolution and partition.
#[must_use]
pub fn group_key(meta: &BlockMeta) -> GroupKey {
    let thanos = meta.other.get("thanos");
    let at = |path: &str| thanos.and_then(|thanos| thanos.pointer(path));
    let labels: BTreeMap<String, String> = match at("/labels") {
        Some(Value::Object(labels)) => {
            let text =
                |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            labels.iter().map(|(name, value)| (name.clone(), text(value))).collect()
        }
        _ => BTreeMap::new(),
    };
    let number = |path: &str| at(path).and_then(Value::as_i64);
    let partition = number("/extensions/partition_info/partition_id")
        .zip(number("/extensions/partition_info/partition_count"));
    GroupKey { labels, resolution_ms: number("/downsample/resolution").unwrap_or(0), partition }
}
