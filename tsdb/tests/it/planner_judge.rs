//! Random sets of metas, planned by us and by Prometheus's `LeveledCompactor.Plan`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tsdb::compact::planner::{
    BlockClass, BlockId, LeveledPlanner, PlanBlock, PlanKind, plan_groups,
};
use tsdb::compact::{merged_meta, plan_block};
use tsdb_format::meta::BlockMeta;

use crate::judge::{self, Random};

const SETS: usize = 25_000;

/// Above this many, Prometheus does not keep blocks of one minimum time in directory order.
const STABLE_SORT_LEN_MAX: usize = 12;

struct Set {
    ranges_ms: Vec<i64>,
    overlapping: bool,
    exclude: BTreeSet<BlockId>,
    blocks: Vec<(PlanBlock, String)>,
}

/// An answer of the judge.
#[derive(serde::Deserialize)]
struct Answer {
    plan: BTreeSet<String>,
    merged: Option<BlockMeta>,
    error: Option<String>,
}

#[test]
fn plans_equal_prometheus_plans() {
    let Some(mut command) = judge::command("plan") else { return };
    // In memory where that is possible, and gone even when the judge dies of a failed comparison.
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { memory } else { &std::env::temp_dir() };
    let scratch = tempfile::tempdir_in(scratch).unwrap();
    command.arg("-scratch").arg(scratch.path());
    let mut random = Random(judge::seed());
    let sets: Vec<Set> = (0..SETS).map(|_| random_set(&mut random)).collect();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut number = 0;
    ask(command, &sets, |set, answer| {
        assert_eq!(answer.error, None, "set {number}");
        let (ours, kind) = plan(set);
        assert_eq!(ours, answer.plan, "set {number}: {}", set.question());
        assert_eq!(merged(set), answer.merged, "set {number}: {}", set.question());
        count(&mut seen, set, &ours, kind);
        number += 1;
    });
    assert_eq!(number, SETS);
    judge::say(&format!("{SETS} sets equal: {seen:?}"));
    // Each rule was met, and often: otherwise equality says little.
    for what in [
        "nothing",
        "overlap",
        "range",
        "tombstones",
        "overlap with failed",
        "overlap with newest",
        "stale",
        "selected",
        "out-of-order",
        "excluded",
        "negative",
        "single range",
        "over 12",
        "failed left out",
    ] {
        let times = seen.get(what).copied().unwrap_or(0);
        assert!(times >= SETS / 200, "{what}: only {times} of {SETS}");
    }
}

fn plan(set: &Set) -> (BTreeSet<String>, Option<PlanKind>) {
    let planner =
        LeveledPlanner::new(set.ranges_ms.clone()).unwrap().enable_overlapping(set.overlapping);
    let blocks: Vec<PlanBlock> = set.blocks.iter().map(|(block, _)| block.clone()).collect();
    let filter = |block: &PlanBlock| set.exclude.contains(&block.id);
    let mut plans = plan_groups(&planner, Some(&filter), &blocks).unwrap();
    assert!(plans.len() <= 1, "one group");
    let Some(group) = plans.pop() else { return (BTreeSet::new(), None) };
    assert_eq!(group.plan.decisions.len(), blocks.len(), "each block is explained");
    (group.plan.blocks.iter().map(ToString::to_string).collect(), group.plan.kind)
}

/// The meta of all blocks of the set, merged in the set's order.
fn merged(set: &Set) -> Option<BlockMeta> {
    let decode = |(_, json): &(PlanBlock, String)| BlockMeta::decode(json.as_bytes()).unwrap();
    let metas: Vec<BlockMeta> = set.blocks.iter().map(decode).collect();
    let mut merged = merged_meta(BlockId::nil(), &metas.iter().collect::<Vec<_>>());
    merged.version = 0; // Prometheus sets it when it writes the file.
    (!metas.is_empty()).then_some(merged)
}

fn count(
    seen: &mut BTreeMap<&'static str, usize>,
    set: &Set,
    planned: &BTreeSet<String>,
    kind: Option<PlanKind>,
) {
    let mut saw = |what, yes: bool| {
        if yes {
            *seen.entry(what).or_default() += 1;
        }
    };
    let overlap = kind == Some(PlanKind::Overlap);
    saw("nothing", kind.is_none());
    saw("overlap", overlap);
    saw("range", matches!(kind, Some(PlanKind::Range { .. })));
    saw("tombstones", kind == Some(PlanKind::Tombstones));
    let members = || set.blocks.iter().filter(|(b, _)| planned.contains(&b.dir_name));
    saw("overlap with failed", overlap && members().any(|(b, _)| b.failed));
    let newest = set.blocks.iter().map(|(b, _)| b.min_time).max();
    saw("overlap with newest", overlap && members().any(|(b, _)| Some(b.min_time) == newest));
    saw("stale", members().any(|(b, _)| b.class == BlockClass::StaleSeries));
    saw("selected", members().any(|(b, _)| b.class == BlockClass::SelectedSeries));
    let hint = |meta: &str| meta.contains("out-of-order");
    saw("out-of-order", members().any(|(_, meta)| hint(meta)));
    saw("excluded", !set.exclude.is_empty() && kind.is_some());
    saw("negative", members().any(|(b, _)| b.min_time < 0));
    saw("single range", set.ranges_ms.len() == 1 && kind.is_some());
    saw("over 12", set.blocks.len() > STABLE_SORT_LEN_MAX && kind.is_some());
    let failed = |(b, _): &(PlanBlock, String)| b.failed && !planned.contains(&b.dir_name);
    saw("failed left out", kind.is_some() && set.blocks.iter().any(failed));
}

impl Set {
    /// The set as a line for the judge.
    fn question(&self) -> String {
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
        format!(
            r#"{{"ranges_ms":{:?},"overlapping":{},"exclude":[{}],"metas":[{}]}}"#,
            self.ranges_ms,
            self.overlapping,
            list(&mut self.exclude.iter().map(|id| format!("\"{id}\""))),
            list(&mut self.blocks.iter().map(|(_, meta)| meta.clone())),
        )
    }
}

/// Runs the judge once over all sets.
fn ask(mut command: Command, sets: &[Set], mut answered: impl FnMut(&Set, Answer)) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = BufWriter::new(child.stdin.take().unwrap());
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A judge that stops reading answers fewer questions, which is noticed.
            let _ = sets.iter().try_for_each(|set| writeln!(input, "{}", set.question()));
            let _ = input.flush();
        });
        for (set, line) in sets.iter().zip(output.lines()) {
            answered(set, serde_json::from_str(&line.unwrap()).unwrap());
        }
    });
    assert!(child.wait().unwrap().success());
}

/// What the blocks of one set have in common.
struct Traits {
    failed_percent: u64,
    hint_percent: u64,
    hints: &'static [&'static str],
    stones_percent: u64,
    gap_percent: u64,
    overlap_percent: u64,
    ids_in_time_order: bool,
}

fn random_set(random: &mut Random) -> Set {
    const HOUR: i64 = 3_600_000;
    let ranges_ms = match random.below(8) {
        0 => vec![random.pick(&[1, 7, 20, 2 * HOUR])],
        1 => vec![20, 60],
        2 => vec![20, 60, 180, 540, 1620],
        3 => vec![2 * HOUR, 6 * HOUR, 18 * HOUR, 54 * HOUR],
        4 => vec![3, 10, 11],
        _ => vec![20, 60, 180],
    };
    let traits = Traits {
        failed_percent: random.pick(&[0, 0, 10, 40]),
        hint_percent: random.pick(&[0, 0, 20, 60, 100]),
        hints: random.pick(&[
            &["from-stale-series", "from-selected-series", "from-out-of-order", "from-nowhere"][..],
            &["from-out-of-order", "from-selected-series"],
            &["from-stale-series"],
            &["from-selected-series"],
        ]),
        stones_percent: random.pick(&[0, 20, 80]),
        gap_percent: random.pick(&[0, 10, 50]),
        overlap_percent: random.pick(&[0, 0, 0, 5, 30]),
        ids_in_time_order: random.percent(50),
    };
    let overlapping = random.percent(75);
    let count = if random.percent(10) { random.between(0, 2) } else { random.between(2, 26) };
    let mut blocks = random_blocks(random, &ranges_ms, &traits, count as usize);
    if !overlapping && blocks.len() > STABLE_SORT_LEN_MAX {
        // Where overlaps are merged, blocks of one minimum time land in one cluster, whatever
        // their order; here the order is Prometheus's secret.
        let mut times = BTreeSet::new();
        blocks.retain(|(block, _)| times.insert(block.min_time));
    }
    let mut exclude = BTreeSet::new();
    if random.percent(15) {
        exclude.extend(blocks.iter().filter(|_| random.percent(8)).map(|(block, _)| block.id));
    }
    Set { ranges_ms, overlapping, exclude, blocks }
}

fn random_blocks(
    random: &mut Random,
    ranges_ms: &[i64],
    traits: &Traits,
    count: usize,
) -> Vec<(PlanBlock, String)> {
    let first = ranges_ms[0];
    let aligned = random.percent(80);
    let mut cursor = match random.below(4) {
        0 => 0,
        1 => random.between(-30, 0) * first,
        2 => random.between(-8, 30) * first,
        _ => 1_600_000_000_000 / first * first,
    };
    if !aligned {
        cursor += random.between(0, first);
    }
    // The same few ULIDs in each set: the judge can keep the directories.
    let mut numbers: Vec<u64> = (0..count as u64).collect();
    if !traits.ids_in_time_order {
        (1..count).rev().for_each(|n| numbers.swap(n, random.below(n as u64 + 1) as usize));
    }
    let mut blocks = Vec::with_capacity(count);
    for number in numbers {
        if random.percent(traits.gap_percent) {
            cursor += random.between(1, 4) * if aligned { first } else { (first + 1) / 2 };
        }
        if random.percent(traits.overlap_percent) {
            cursor -= random.between(1, 2 * first);
        }
        let length = match random.below(20) {
            0 => random.between(1, 3 * first),
            1..=3 => random.pick(ranges_ms),
            _ => first,
        };
        let end = if random.percent(15) && aligned {
            // Fill up to the next border of some range, as earlier compactions did.
            let range = random.pick(ranges_ms);
            (cursor.div_euclid(range) + 1) * range
        } else {
            cursor + length
        };
        blocks.push(random_block(random, traits, number, cursor, end));
        cursor = end;
    }
    blocks
}

fn random_block(
    random: &mut Random,
    traits: &Traits,
    number: u64,
    min_time: i64,
    max_time: i64,
) -> (PlanBlock, String) {
    let id = BlockId::from_parts(number, 7);
    let num_series = random.pick(&[0, 1, 19, 20, 100]) + random.below(3);
    let stones = [1, num_series / 20, num_series / 20 + 1, num_series, num_series + 1];
    let num_tombstones =
        if random.percent(traits.stones_percent) { random.pick(&stones) } else { 0 };
    let mut hints: Vec<&str> = Vec::new();
    if random.percent(traits.hint_percent) {
        hints.push(random.pick(traits.hints));
        if random.percent(15) {
            hints.push("from-selected-series");
            hints.push("from-stale-series");
        }
    }
    let ids = |random: &mut Random| -> Vec<BlockId> {
        (0..random.below(4)).map(|_| BlockId::from_parts(random.below(9), 0)).collect()
    };
    let (sources, parents) = (ids(random), ids(random));
    let json = json!({
        "ulid": id.to_string(),
        "minTime": min_time,
        "maxTime": max_time,
        "stats": { "numSeries": num_series, "numTombstones": num_tombstones },
        "compaction": {
            "level": 1 + random.below(4),
            "sources": sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "parents": parents.iter().map(|parent| {
                json!({ "ulid": parent.to_string(), "minTime": min_time, "maxTime": max_time })
            }).collect::<Vec<_>>(),
            "failed": random.percent(traits.failed_percent),
            "deletable": random.percent(3),
            "hints": hints,
        },
        "version": 1,
    })
    .to_string();
    let meta = BlockMeta::decode(json.as_bytes()).unwrap();
    (plan_block(&id.to_string(), &meta, None), json)
}
