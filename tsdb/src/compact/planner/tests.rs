//! One named test for each rule; what all rules do together is the judge's business.

use tsdb_format::meta::HINT_OUT_OF_ORDER;

use super::*;

const H: i64 = 3_600_000;

fn id(number: u64) -> BlockId {
    BlockId::from_parts(number, 0)
}

/// Block `number` over `[min_h, max_h)` hours.
fn block(number: u64, min_h: i64, max_h: i64) -> PlanBlock {
    PlanBlock {
        id: id(number),
        dir_name: id(number).to_string(),
        min_time: min_h * H,
        max_time: max_h * H,
        num_series: 100,
        num_tombstones: 0,
        level: 1,
        failed: false,
        class: BlockClass::Regular,
        group: GroupKey::default(),
        no_compact: None,
    }
}

/// Blocks of 2 h from hour 0, numbered from 1.
fn row(count: u64) -> Vec<PlanBlock> {
    (1..=count).map(|n| block(n, 2 * (n as i64 - 1), 2 * n as i64)).collect()
}

fn planner() -> LeveledPlanner {
    LeveledPlanner::new(vec![2 * H, 6 * H, 18 * H]).unwrap()
}

fn plan_with(planner: &LeveledPlanner, blocks: &[PlanBlock]) -> Plan {
    let shown: Vec<&PlanBlock> = blocks.iter().collect();
    let plan = planner.plan(&shown);
    assert_eq!(plan.decisions.len(), blocks.len());
    for (decision, block) in plan.decisions.iter().zip(blocks) {
        assert_eq!(decision.id, block.id);
        assert_eq!(decision.planned, plan.blocks.contains(&decision.id));
        assert!(!decision.reasons.is_empty(), "{plan:?}");
    }
    assert_eq!(plan.kind.is_none(), plan.is_empty());
    plan
}

fn plan(blocks: &[PlanBlock]) -> Plan {
    plan_with(&planner(), blocks)
}

fn numbers(plan: &Plan) -> Vec<u64> {
    plan.blocks.iter().map(|id| id.timestamp_ms()).collect()
}

fn reasons(plan: &Plan, number: u64) -> &[Reason] {
    &plan.decisions.iter().find(|d| d.id == id(number)).unwrap().reasons
}

#[test]
fn ranges_are_powers_of_three_up_to_the_cap() {
    assert_eq!(exponential_block_ranges(2, 4, 3), [2, 6, 18, 54]);
    assert_eq!(exponential_block_ranges(i64::MAX / 2, 10, 3), [i64::MAX / 2]);
    let hours = |ranges: Vec<i64>| ranges.iter().map(|r| r / H).collect::<Vec<_>>();
    assert_eq!(hours(default_block_ranges(None)), [2, 6, 18, 54, 162, 486]);
    assert_eq!(hours(default_block_ranges(Some(0))), [2, 6, 18, 54, 162, 486]);
    assert_eq!(hours(default_block_ranges(Some(15 * 24 * H))), [2, 6, 18]);
    assert_eq!(hours(default_block_ranges(Some(H))), [2]);
    assert_eq!(hours(default_block_ranges(Some(10_000 * 24 * H))), [2, 6, 18, 54, 162, 486]);
    assert_eq!(hours(capped_block_ranges(0, 6 * H)), [2, 6]);
    assert_eq!(hours(capped_block_ranges(9 * H, 6 * H)), [9]);
}

#[test]
fn ranges_that_make_no_sense_are_refused() {
    assert_eq!(LeveledPlanner::new(vec![]).unwrap_err(), InvalidRanges::Empty);
    assert_eq!(LeveledPlanner::new(vec![1, 0]).unwrap_err(), InvalidRanges::NotPositive(0));
}

#[test]
fn durations_read_as_prometheus_writes_them() {
    let text: Vec<String> =
        [0, 2 * H, 54 * H, 90_000, 1, -6 * H].into_iter().map(display_range_ms).collect();
    assert_eq!(text, ["0s", "2h", "2d6h", "1m30s", "1ms", "-6h"]);
}

#[test]
fn nothing_to_plan_without_blocks_or_with_one() {
    assert!(plan(&[]).is_empty());
    let plan = plan(&row(1));
    assert!(plan.is_empty());
    assert_eq!(reasons(&plan, 1), [Reason::NewestOfClass(BlockClass::Regular)]);
}

#[test]
fn a_full_range_is_planned_once_a_newer_block_exists() {
    let waiting = plan(&row(3));
    assert!(waiting.is_empty());
    let planned = plan(&row(4));
    assert_eq!(numbers(&planned), [1, 2, 3]);
    assert_eq!(planned.kind, Some(PlanKind::Range { range_ms: 6 * H, start_ms: 0 }));
    assert_eq!(planned.decisions[0].to_string(), "planned: range 6h from 0");
    assert_eq!(
        planned.decisions[3].to_string(),
        "left out: newest of the regular blocks; \
         waits for the plan of this round (range 6h from 0)"
    );
}

#[test]
fn a_range_with_gaps_is_planned_if_it_spans_or_lies_behind() {
    // First and last third of the range: it spans.
    assert_eq!(numbers(&plan(&[block(1, 0, 2), block(2, 4, 6), block(3, 6, 8)])), [1, 2]);
    // First and second third: only once a block of another range follows that is not the newest.
    let blocks = [block(1, 0, 2), block(2, 2, 4), block(3, 6, 8)];
    let waiting = plan(&blocks);
    assert_eq!(reasons(&waiting, 1)[0], Reason::RangeNotFull { range_ms: 6 * H });
    let [a, b, c] = blocks;
    assert_eq!(numbers(&plan(&[a, b, c, block(4, 8, 10)])), [1, 2]);
}

#[test]
fn a_larger_range_comes_after_all_smaller_ones() {
    let blocks =
        [block(1, 0, 6), block(2, 6, 12), block(3, 12, 14), block(4, 14, 16), block(5, 16, 18)];
    let with_next = |next: i64| [&blocks[..], &[block(6, next, next + 2)]].concat();
    assert_eq!(numbers(&plan(&with_next(18))), [3, 4, 5]);
    let merged = [block(1, 0, 6), block(2, 6, 12), block(3, 12, 18), block(6, 18, 20)];
    let plan = plan(&merged);
    assert_eq!(numbers(&plan), [1, 2, 3]);
    assert_eq!(plan.kind, Some(PlanKind::Range { range_ms: 18 * H, start_ms: 0 }));
}

#[test]
fn a_group_needs_two_blocks() {
    let plan = plan(&[block(1, 0, 6), block(2, 12, 14), block(3, 30, 32), block(4, 60, 62)]);
    assert_eq!(numbers(&plan), [1, 2]);
    let alone = plan_with(&planner(), &[block(1, 0, 6), block(2, 30, 32), block(3, 60, 62)]);
    assert!(alone.is_empty());
    assert_eq!(
        reasons(&alone, 1),
        [Reason::Alone { range_ms: 6 * H }, Reason::Alone { range_ms: 18 * H }]
    );
}

#[test]
fn a_single_range_never_groups() {
    let single = LeveledPlanner::new(vec![2 * H]).unwrap();
    let plan = plan_with(&single, &row(9));
    assert!(plan.is_empty());
    assert_eq!(reasons(&plan, 1), [Reason::SingleRange]);
}

#[test]
fn a_single_range_still_merges_overlaps_and_drops_tombstones() {
    let single = LeveledPlanner::new(vec![2 * H]).unwrap();
    let overlap = plan_with(&single, &[block(1, 0, 2), block(2, 1, 3)]);
    assert_eq!((numbers(&overlap), overlap.kind), (vec![1, 2], Some(PlanKind::Overlap)));
    let mut blocks = row(2);
    blocks[0].num_tombstones = 10;
    let stones = plan_with(&single, &blocks);
    assert_eq!((numbers(&stones), stones.kind), (vec![1], Some(PlanKind::Tombstones)));
}

#[test]
fn overlaps_come_before_ranges_and_include_the_newest() {
    let mut blocks = row(4);
    blocks.push(block(5, 7, 9));
    let plan = plan(&blocks);
    assert_eq!(numbers(&plan), [4, 5]);
    assert_eq!(plan.kind, Some(PlanKind::Overlap));
    assert_eq!(reasons(&plan, 1), [Reason::Waits(PlanKind::Overlap)]);
}

#[test]
fn overlaps_ignore_failed_marks() {
    let mut blocks = [block(1, 0, 2), block(2, 1, 3)];
    blocks[0].failed = true;
    assert_eq!(numbers(&plan(&blocks)), [1, 2]);
}

#[test]
fn only_the_first_cluster_of_overlaps_is_planned() {
    // 1 and 3 overlap only through the long 1; 5 and 6 are another cluster.
    let blocks = [
        block(1, 0, 6),
        block(2, 1, 2),
        block(3, 4, 5),
        block(4, 6, 8),
        block(5, 8, 10),
        block(6, 9, 11),
    ];
    assert_eq!(numbers(&plan(&blocks)), [1, 2, 3]);
}

#[test]
fn touching_blocks_do_not_overlap() {
    assert!(plan(&[block(1, 0, 2), block(2, 2, 4)]).is_empty());
}

#[test]
fn overlaps_stay_if_switched_off() {
    let off = planner().enable_overlapping(false);
    assert!(plan_with(&off, &[block(1, 0, 2), block(2, 1, 3)]).is_empty());
}

#[test]
fn a_failed_block_bars_its_range_but_not_others() {
    let mut blocks = row(7);
    blocks[1].failed = true;
    let plan = plan(&blocks);
    assert_eq!(numbers(&plan), [4, 5, 6]);
    assert_eq!(reasons(&plan, 3)[0], Reason::GroupFailed { range_ms: 6 * H, failed: id(2) });
}

#[test]
fn groups_align_to_multiples_of_the_range_below_zero_too() {
    let blocks = [block(1, -6, -4), block(2, -4, -2), block(3, -2, 0), block(4, 0, 2)];
    let plan = plan(&blocks);
    assert_eq!(numbers(&plan), [1, 2, 3]);
    assert_eq!(plan.kind, Some(PlanKind::Range { range_ms: 6 * H, start_ms: -6 * H }));
}

#[test]
fn a_block_across_a_border_does_not_fit() {
    // Block 2 crosses hour 6, and hour 18 is far.
    let blocks =
        [block(1, 4, 5), block(2, 5, 7), block(3, 7, 9), block(4, 30, 32), block(5, 60, 62)];
    let plan = plan(&blocks);
    assert_eq!(numbers(&plan), [1, 2, 3]);
    assert_eq!(plan.kind, Some(PlanKind::Range { range_ms: 18 * H, start_ms: 0 }));
    let long = [block(1, 0, 20), block(2, 20, 22), block(3, 22, 24)];
    let left = plan_with(&planner(), &long);
    assert_eq!(
        reasons(&left, 1),
        [Reason::DoesNotFit { range_ms: 6 * H }, Reason::DoesNotFit { range_ms: 18 * H }]
    );
}

#[test]
fn the_ends_of_time_fit_no_range() {
    let mut blocks = [block(1, 0, 2), block(2, 2, 4), block(3, 4, 6)];
    blocks[0].min_time = i64::MIN;
    blocks[0].max_time = i64::MIN + 1;
    blocks[2].min_time = i64::MAX - 1;
    blocks[2].max_time = i64::MAX;
    let plan = plan(&blocks);
    assert!(plan.is_empty());
    assert_eq!(reasons(&plan, 1)[0], Reason::DoesNotFit { range_ms: 6 * H });
}

#[test]
fn classes_are_never_mixed_and_regular_comes_first() {
    let mut blocks = row(4);
    for (n, class) in [(5, BlockClass::SelectedSeries), (9, BlockClass::StaleSeries)] {
        let partial =
            (0..4).map(|i| PlanBlock { class, ..block(n + i, 2 * i as i64, 2 * i as i64 + 2) });
        blocks.extend(partial);
    }
    let first = plan(&blocks);
    assert_eq!(numbers(&first), [1, 2, 3]);
    assert_eq!(reasons(&first, 9), [Reason::ClassWaits(BlockClass::Regular)]);
    blocks.drain(..3);
    assert_eq!(numbers(&plan(&blocks)), [9, 10, 11]);
    blocks.truncate(5);
    let last = plan(&blocks);
    assert_eq!(numbers(&last), [5, 6, 7]);
    assert_eq!(reasons(&last, 8)[0], Reason::NewestOfClass(BlockClass::SelectedSeries));
}

#[test]
fn hints_make_the_class() {
    assert_eq!(BlockClass::of_hints::<&str>([]), BlockClass::Regular);
    assert_eq!(BlockClass::of_hints([HINT_OUT_OF_ORDER]), BlockClass::Regular);
    assert_eq!(BlockClass::of_hints(["from-selected-series"]), BlockClass::SelectedSeries);
    let both = [HINT_SELECTED_SERIES, HINT_STALE_SERIES];
    assert_eq!(BlockClass::of_hints(both), BlockClass::StaleSeries);
}

#[test]
fn a_large_block_is_rewritten_above_five_percent_of_tombstones() {
    let planner = LeveledPlanner::new(vec![2 * H, 6 * H]).unwrap();
    let mut blocks = [block(1, 0, 6), block(2, 6, 8)];
    blocks[0].num_series = 99;
    blocks[0].num_tombstones = 5;
    let few = plan_with(&planner, &blocks);
    assert!(few.is_empty());
    assert_eq!(reasons(&few, 1).last(), Some(&Reason::FewTombstones { stones: 5, series: 99 }));
    blocks[0].num_tombstones = 6;
    blocks[0].failed = true; // ignored here
    assert_eq!(numbers(&plan_with(&planner, &blocks)), [1]);
}

#[test]
fn a_small_block_is_rewritten_if_all_of_it_seems_deleted_else_the_scan_ends() {
    let mut blocks = [block(1, 0, 6), block(2, 6, 8), block(3, 8, 10)];
    blocks[0].num_tombstones = 100;
    blocks[1].num_tombstones = 99;
    let stopped = plan(&blocks);
    assert!(stopped.is_empty());
    assert_eq!(reasons(&stopped, 1).last(), Some(&Reason::TombstoneScanStopped { at: id(2) }));
    blocks[1].num_tombstones = 100;
    assert_eq!(numbers(&plan(&blocks)), [2]);
}

#[test]
fn the_newest_of_several_blocks_with_tombstones_comes_first_and_the_last_block_never() {
    let planner = LeveledPlanner::new(vec![2 * H, 6 * H]).unwrap();
    let mut blocks = [block(1, 0, 6), block(2, 6, 12), block(3, 12, 18)];
    for block in &mut blocks {
        block.num_tombstones = 50;
    }
    assert_eq!(numbers(&plan_with(&planner, &blocks)), [2]);
}

#[test]
fn the_exclude_filter_stops_in_directory_name_order() {
    // Block 1 is the oldest by name, but the newest by time.
    let mut blocks = row(4);
    blocks[0] = block(1, 6, 8);
    blocks.push(block(9, 0, 2));
    let excluded = id(9);
    let filter = move |block: &PlanBlock| block.id == excluded;
    let plans = plan_groups(&planner(), Some(&filter), &blocks).unwrap();
    let plan = &plans[0].plan;
    assert_eq!(reasons(plan, 9), [Reason::Excluded]);
    let filter = |block: &PlanBlock| block.id == id(3);
    let plans = plan_groups(&planner(), Some(&filter), &blocks).unwrap();
    let plan = &plans[0].plan;
    assert!(plan.is_empty());
    assert_eq!(reasons(plan, 4), [Reason::BehindExcluded(id(3))]);
    assert_eq!(reasons(plan, 1)[0], Reason::NewestOfClass(BlockClass::Regular));
}

#[test]
fn groups_are_planned_apart() {
    let mut blocks = row(8);
    for (i, block) in blocks.iter_mut().enumerate() {
        // Two replicas over the same times would overlap if they were one group.
        block.min_time = 2 * H * (i as i64 % 4);
        block.max_time = block.min_time + 2 * H;
        let replica = if i < 4 { "a" } else { "b" };
        block.group.labels.insert("replica".to_owned(), replica.to_owned());
    }
    let planned = |blocks: &[PlanBlock]| -> Vec<Vec<u64>> {
        let plans = plan_groups(&planner(), None, blocks).unwrap();
        plans.iter().map(|group| numbers(&group.plan)).collect()
    };
    assert_eq!(planned(&blocks), [[1, 2, 3], [5, 6, 7]]);
    for block in &mut blocks {
        let resolution_ms = if block.id < id(5) { 0 } else { 300_000 };
        block.group = GroupKey { resolution_ms, ..GroupKey::default() };
    }
    assert_eq!(planned(&blocks), [[1, 2, 3], [5, 6, 7]]);
    for block in &mut blocks {
        let partition = Some(if block.id < id(5) { (0, 2) } else { (1, 2) });
        block.group = GroupKey { partition, ..GroupKey::default() };
    }
    assert_eq!(planned(&blocks), [[1, 2, 3], [5, 6, 7]]);
}

#[test]
fn marked_blocks_are_left_out_with_the_reason() {
    let marks = [
        (NoCompact::NoCompactMark { reason: "index too large".to_owned() }, "index too large"),
        (NoCompact::NoCompactMark { reason: String::new() }, "left out: marked no-compact"),
        (NoCompact::DeletionMark, "marked for deletion"),
        (NoCompact::FailedBefore { reason: "bad chunk".to_owned() }, "failed before: bad chunk"),
    ];
    for (mark, words) in marks {
        let mut blocks = row(7);
        blocks[0].no_compact = Some(mark);
        let plans = plan_groups(&planner(), None, &blocks).unwrap();
        assert_eq!(numbers(&plans[0].plan), [2, 3]);
        assert!(plans[0].plan.decisions[0].to_string().contains(words));
    }
}

#[test]
fn nothing_is_merged_across_a_block_that_must_stay() {
    let mark = |reason: &str| Some(NoCompact::FailedBefore { reason: reason.to_owned() });
    // 1 and 3 share a range of 6 h, but 2 lies between them.
    let mut blocks = row(4);
    blocks[1].no_compact = mark("bad chunk");
    let plans = plan_groups(&planner(), None, &blocks).unwrap();
    assert_eq!(numbers(&plans[0].plan), [0; 0]);
    assert_eq!(reasons(&plans[0].plan, 1), [Reason::BesideBarred(id(2))]);
    // What is about to be deleted is no obstacle.
    blocks[1].no_compact = Some(NoCompact::DeletionMark);
    let plans = plan_groups(&planner(), None, &blocks).unwrap();
    assert_eq!(numbers(&plans[0].plan), [1, 3]);
    // Other ranges go on.
    let mut blocks = row(7);
    blocks[1].no_compact = mark("bad chunk");
    let plans = plan_groups(&planner(), None, &blocks).unwrap();
    assert_eq!(numbers(&plans[0].plan), [4, 5, 6]);
}

#[test]
fn two_blocks_with_one_ulid_are_refused_by_name() {
    let mut blocks = row(2);
    blocks[1].id = blocks[0].id;
    let error = plan_groups(&planner(), None, &blocks).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&blocks[0].dir_name) && text.contains(&blocks[1].dir_name), "{text}");
}

struct Rogue(Vec<BlockId>);

impl Planner for Rogue {
    fn plan(&self, _: &[&PlanBlock]) -> Plan {
        Plan { blocks: self.0.clone(), kind: Some(PlanKind::Overlap), decisions: Vec::new() }
    }
}

#[test]
fn a_planner_of_ones_own_is_held_to_its_contract() {
    let mut blocks = row(3);
    blocks[2].no_compact = Some(NoCompact::DeletionMark);
    let plan =
        |ids: &[u64]| plan_groups(&Rogue(ids.iter().copied().map(id).collect()), None, &blocks);
    assert_eq!(plan(&[3]).unwrap_err(), PlanError::UnknownBlock(id(3)));
    assert_eq!(plan(&[1, 1]).unwrap_err(), PlanError::RepeatedBlock(id(1)));
    let plans = plan(&[1]).unwrap();
    assert_eq!(reasons(&plans[0].plan, 2), [Reason::Unexplained]);
    assert!(plans[0].plan.decisions[0].planned);
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let mut blocks = row(12);
    blocks[4].failed = true;
    let want = plan_groups(&planner(), None, &blocks).unwrap();
    blocks.reverse();
    assert_eq!(plan_groups(&planner(), None, &blocks).unwrap(), want);
}
