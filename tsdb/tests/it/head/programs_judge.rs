//! Random append programs: every outcome, the log's records and the blocks to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tsdb::wal::WalReader;
use tsdb_format::record::Record;

use super::generate::{Allowed, generate};
use super::headers::headers_kept;
use super::ours::Answer;
use super::program::{Op, Program};
use super::shrink::shrink;
use super::{ours, theirs};
use crate::fixtures;
use crate::judge::{Random, say, seed_or_first};

/// How many programs are tried, unless `TSDB_HEAD_PROGRAMS` says otherwise.
const PROGRAMS: usize = 6;

/// What a program may have that is replayed.
const REPLAYED: Allowed =
    Allowed { deletes: true, flushes: true, truncations: false, restarts: true, is_replayed: true };

#[test]
fn appends_deletes_and_truncations_have_the_outcomes_of_prometheus() {
    try_programs(Allowed { deletes: true, truncations: true, ..Allowed::default() });
}

#[test]
fn plain_appends_have_the_outcomes_of_prometheus() {
    try_programs(Allowed::default());
}

#[test]
fn flushed_blocks_are_equal_to_the_byte() {
    try_programs(Allowed { deletes: true, flushes: true, ..Allowed::default() });
}

#[test]
fn what_is_replayed_goes_on_as_in_prometheus() {
    try_programs(REPLAYED);
}

/// For a program that differs, `TSDB_HEAD_PROGRAM_SEED` as it was printed: writes a short one.
#[test]
#[ignore = "for whoever looks for the reason of a difference"]
fn a_program_that_differs_is_made_short() {
    let seed = std::env::var("TSDB_HEAD_PROGRAM_SEED").unwrap().parse().unwrap();
    let program = draw(seed, REPLAYED);
    let difference = |program: &mut Program| {
        let compare = || compare(program, &mut Compared::default());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(compare)).ok()?;
        outcome.and_then(Result::err)
    };
    // Its first word, and of an operation which it is.
    let kind = |difference: String| {
        let op = difference.split_once("\"op\":").map_or("", |(_, op)| op);
        let op: String = op.chars().take_while(|c| !",}".contains(*c)).collect();
        format!("{} {op}", difference.split(' ').next().unwrap())
    };
    let mut short = shrink(program, |program| difference(program).map(kind));
    keep(&short, seed);
    say(&format!("{} operations: {:?}", short.ops.len(), difference(&mut short)));
}

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    operations: usize,
    series: usize,
    /// Blocks of what came in order, and merged ones.
    blocks: usize,
    /// Blocks of what came out of order.
    late_blocks: usize,
    /// Chunks in which only ours still says that no counter was reset.
    headers_kept: usize,
    /// Series whose records only ours has in its checkpoint.
    series_kept_for_late_samples: usize,
    /// Programs that end where 3.15 loses late samples, or goes another way: see [`turn`].
    cut_off: usize,
}

fn draw(seed: u64, allowed: Allowed) -> Program {
    let mut random = Random(seed);
    let rounds = random.pick(&[10, 60, 300]);
    generate(&mut random, allowed, rounds)
}

fn try_programs(allowed: Allowed) {
    let count = std::env::var("TSDB_HEAD_PROGRAMS").ok().map(|text| text.parse().unwrap());
    let mut seeds = Random(seed_or_first());
    let mut compared = Compared::default();
    let count = count.unwrap_or(PROGRAMS);
    for number in 0..count {
        let seed = seeds.next();
        let mut program = draw(seed, allowed);
        match compare(&mut program, &mut compared) {
            Some(Ok(())) => {}
            Some(Err(difference)) => {
                let kept = keep(&program, seed);
                panic!("program {number} of seed {seed}, kept as {kept}: {difference}");
            }
            None => return,
        }
    }
    say(&format!("equal: {compared:?}"));
    let Compared { operations, series, blocks, late_blocks, cut_off, .. } = compared;
    assert!(operations > 0 && series > 0, "nothing was compared");
    assert!(cut_off * 2 <= count, "{cut_off} of {count} programs were cut off");
    assert!(!allowed.flushes || blocks > 0, "nothing was flushed");
    // About every second program has late samples.
    assert!(!allowed.flushes || late_blocks > 0 || count < 20, "nothing late was flushed");
}

/// Runs the program twice, as far as 3.15 can; what differs first.
fn compare(program: &mut Program, compared: &mut Compared) -> Option<Result<(), String>> {
    let work = tempfile::tempdir().unwrap();
    let dirs = ["theirs", "their-blocks", "ours", "our-blocks"].map(|name| work.path().join(name));
    let [their_dir, their_blocks, our_dir, our_blocks] = &dirs;
    let theirs = theirs::run(program, their_dir, their_blocks)?;
    let ran = ours::run(program, our_dir, our_blocks, |_| {});
    if let Some(at) = ran.lost_by_theirs {
        return compare_until(at, "3.15 loses late samples", program, compared);
    }
    assert_eq!(ran.answers.len(), theirs.len());
    let mut all = || {
        compare_answers(program, &ran.answers, &theirs, compared)?;
        let kills = program.ops.iter().filter(|op| matches!(op, Op::Kill)).count();
        let last = |dir: &Path| match kills {
            0 => dir.to_owned(),
            _ => (1..=kills).fold(dir.to_owned(), |dir, n| format!("{}.{n}", dir.display()).into()),
        };
        let has_deleted = program.ops.iter().any(|op| matches!(op, Op::Delete { .. }));
        compare_blocks(&theirs, (our_blocks, their_blocks), has_deleted, compared)?;
        compare_logs(&last(our_dir), &last(their_dir), compared)
    };
    let outcome = all();
    if let Some((at, why)) = outcome.is_err().then(|| turn(program, &ran)).flatten() {
        // What queries find is equal to the end all the same.
        if let Err(difference) = compare_states(program, &ran.answers, &theirs) {
            return Some(Err(difference));
        }
        return compare_until(at, why, program, compared);
    }
    compared.operations += theirs.len();
    Some(outcome)
}

/// Compares what is in front of an operation; from there on the two are not alike.
fn compare_until(
    at: usize,
    why: &str,
    program: &mut Program,
    compared: &mut Compared,
) -> Option<Result<(), String>> {
    say(&format!("{why} at operation {at} of {}", program.ops.len()));
    program.ops.truncate(at);
    compared.cut_off += 1;
    compare(program, compared)
}

/// The opening from which on a program may end otherwise in 3.15, and why.
///
/// - A kill costs 3.15 late chunks that ours has handed to the OS. It makes them anew of the log, in a
///   later file, which is still there when blocks have them: at the next opening they are late samples
///   once more, and flushed once more.
/// - 3.15 gives a reference out again that only samples or chunks know any more.
fn turn(program: &Program, ran: &ours::Ran) -> Option<(usize, &'static str)> {
    let is_kill = |op: &Op| matches!(op, Op::Kill);
    let kill = program.ops.iter().position(is_kill);
    let is_behind_kill = |at: usize| {
        program.options.out_of_order_window_ms > 0 && kill.is_some_and(|kill| kill < at)
    };
    let has_gap = |at: usize, recorded: u64| {
        let given = ran.answers[at..].iter().filter_map(|answer| answer[0].strip_prefix("ok "));
        let mut given = given.filter_map(|given| given.parse::<u64>().ok());
        given.find(|given| *given > recorded).is_some_and(|first| first > recorded + 1)
    };
    let again = ran.openings.iter().find(|(at, recorded)| has_gap(*at, *recorded));
    let behind_kill = || ran.openings.iter().find(|(at, _)| is_behind_kill(*at));
    match again {
        Some((at, _)) => Some((*at, "3.15 gives a reference out again")),
        None => behind_kill().map(|(at, _)| (*at, "3.15 has flushed late samples in memory again")),
    }
}

/// All that queries found.
fn compare_states(program: &Program, ours: &[Answer], theirs: &[Answer]) -> Result<(), String> {
    let mut states = program.ops.iter().zip(ours.iter().zip(theirs)).enumerate();
    let differs = states.find(|(_, (op, (ours, theirs)))| {
        matches!(op, Op::State) && ours.get(1..) != theirs.get(1..)
    });
    match differs {
        Some((number, (_, (ours, theirs)))) => {
            Err(format!("operation {number}, state\n  ours   {ours:?}\n  theirs {theirs:?}"))
        }
        None => Ok(()),
    }
}

fn compare_answers(
    program: &Program,
    ours: &[Answer],
    theirs: &[Answer],
    compared: &mut Compared,
) -> Result<(), String> {
    for (number, (op, (ours, theirs))) in
        program.ops.iter().zip(ours.iter().zip(theirs)).enumerate()
    {
        let lines = |answer: &'_ Answer| -> Vec<Option<String>> {
            answer.iter().cloned().map(Some).chain([None]).collect()
        };
        let mut both = lines(ours).into_iter().zip(lines(theirs));
        if let Some((ours, theirs)) = both.find(|(ours, theirs)| ours != theirs) {
            let op = op.json();
            return Err(format!(
                "operation {number}, {op}\n  ours   {ours:?}\n  theirs {theirs:?}"
            ));
        }
        if matches!(op, Op::State) {
            compared.series += theirs.len() - 1;
        }
    }
    Ok(())
}

/// All blocks that were described: index and chunks to the byte, and `meta.json` but for ULIDs.
fn compare_blocks(
    theirs: &[Answer],
    (our_blocks, their_blocks): (&Path, &Path),
    has_deleted: bool,
    compared: &mut Compared,
) -> Result<(), String> {
    let names = theirs.iter().flat_map(|answer| answer.iter().skip(1));
    let names = names.filter(|line| line.contains(" level "));
    for line in names {
        let name = line.split(' ').next().unwrap_or_default();
        let [ours, theirs] = [our_blocks, their_blocks].map(|blocks| blocks.join(name));
        let [our_meta, their_meta] = [&ours, &theirs].map(|block| meta(block));
        if our_meta != their_meta {
            return Err(format!("block {line}: ours {our_meta}, theirs {their_meta}"));
        }
        let [ours, theirs] = [ours, theirs].map(|block| fixtures::content(&block));
        for ((file, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            if ours == theirs {
                continue;
            }
            let may_differ = has_deleted && file.starts_with("chunks/");
            if let Some(kept) = may_differ.then(|| headers_kept(ours, theirs)).flatten() {
                compared.headers_kept += kept;
            } else {
                let differ = ours.iter().zip(theirs).position(|(a, b)| a != b);
                let lengths = (ours.len(), theirs.len());
                return Err(format!(
                    "block {line}: {file} differs at {differ:?}, bytes {lengths:?}"
                ));
            }
        }
        if ours.len() != theirs.len() {
            return Err(format!("block {line}: {} files, not {}", ours.len(), theirs.len()));
        }
        let is_late = line.ends_with("[from-out-of-order]");
        *(if is_late { &mut compared.late_blocks } else { &mut compared.blocks }) += 1;
    }
    Ok(())
}

/// What `meta.json` says, ULIDs of blocks left out, but not how many there are.
fn meta(block: &Path) -> Value {
    let text = fs::read(block.join("meta.json")).unwrap();
    let mut meta: Value = serde_json::from_slice(&text).unwrap();
    meta["ulid"] = Value::Null;
    let sources = meta["compaction"]["sources"].as_array().map_or(0, Vec::len);
    meta["compaction"]["sources"] = json!(sources);
    if let Some(parents) = meta["compaction"]["parents"].as_array_mut() {
        for parent in parents {
            parent["ulid"] = json!(parent["ulid"] == "00000000000000000000000000");
        }
    }
    meta
}

/// The records of the log and of its checkpoint.
///
/// Two things differ. 3.15 writes the metadata of a checkpoint in no order. And where a series was
/// dropped and came again under another reference, ours keeps the record of that reference as long as
/// the write-behind log may need it; in 3.15's the late samples behind it have lost their labels.
fn compare_logs(ours: &Path, theirs: &Path, compared: &mut Compared) -> Result<(), String> {
    let [ours, theirs] = [ours, theirs].map(|dir| records(&dir.join("wal")));
    if ours == theirs {
        return Ok(());
    }
    let [mut ours, mut theirs] = [ours, theirs].map(|records| entries(&records));
    let [in_ours, in_theirs] = [&ours, &theirs].map(|entries| refs_of(entries));
    let mut more: Vec<u64> =
        in_ours.keys().filter(|r| !in_theirs.contains_key(r)).copied().collect();
    more.retain(|number| in_ours.values().filter(|labels| **labels == in_ours[number]).count() > 1);
    ours.retain(|entry| !entry.series_ref.is_some_and(|number| more.contains(&number)));
    compared.series_kept_for_late_samples += more.len();
    for entries in [&mut ours, &mut theirs] {
        let is_metadata = |entry: &Entry| entry.record.starts_with("metadata");
        for run in entries.chunk_by_mut(|a, b| is_metadata(a) && is_metadata(b)) {
            run.sort_by(|a, b| a.record.cmp(&b.record));
        }
    }
    let count = ours.len().max(theirs.len());
    match (0..count).find(|number| ours.get(*number) != theirs.get(*number)) {
        Some(number) => Err(format!(
            "wal: entry {number} differs\n  ours   {:?}\n  theirs {:?}",
            ours.get(number),
            theirs.get(number)
        )),
        None => Ok(()),
    }
}

/// A record, or one series or one piece of metadata of it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Of what is not in records of samples.
    series_ref: Option<u64>,
    labels: Option<String>,
    record: String,
}

fn entries(records: &[Vec<u8>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for bytes in records {
        match Record::decode(bytes).unwrap() {
            Record::Series(series) => entries.extend(series.map(|entry| {
                let entry = entry.unwrap();
                Entry {
                    series_ref: Some(entry.series_ref.get()),
                    labels: Some(format!("{:?}", entry.labels)),
                    record: "series".to_owned(),
                }
            })),
            Record::Metadata(metadata) => entries.extend(metadata.map(|entry| {
                let entry = entry.unwrap();
                let series_ref = Some(entry.series_ref.get());
                Entry { series_ref, labels: None, record: format!("metadata {entry:?}") }
            })),
            _ => {
                entries.push(Entry { series_ref: None, labels: None, record: format!("{bytes:?}") })
            }
        }
    }
    entries
}

/// What the log says each reference is called.
fn refs_of(entries: &[Entry]) -> BTreeMap<u64, &String> {
    entries.iter().filter_map(|entry| Some((entry.series_ref?, entry.labels.as_ref()?))).collect()
}

fn records(dir: &Path) -> Vec<Vec<u8>> {
    let mut reader = WalReader::open(dir).unwrap();
    let mut records = Vec::new();
    while let Some((_, record)) = reader.next_record().unwrap() {
        records.push(record.to_vec());
    }
    records
}

/// Keeps a program that differs, to be run by hand: `judge head-run ... < FILE`.
fn keep(program: &Program, seed: u64) -> String {
    let path = std::env::temp_dir().join(format!("head-program-{seed}.jsonl"));
    fs::write(&path, program.lines()).unwrap();
    say(&format!("kept {}", path.display()));
    path.display().to_string()
}
