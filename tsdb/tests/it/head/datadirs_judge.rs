//! Data directories of the real Prometheus read by us, and ours by it; closed and killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use tsdb::db::Db;
use tsdb::query::TimeRange;

use super::generate::{Allowed, generate};
use super::program::{Op, Options, Program};
use super::{digest, ours, theirs};
use crate::fixtures::{list, testdata};
use crate::judge::{self, Random, say, seed_or_first};

/// How many directories are tried, unless `TSDB_HEAD_DIRS` says otherwise.
const DIRS: usize = 6;

/// Set for the process that is to be killed: what it runs, and where.
const CHILD_SEED: &str = "TSDB_HEAD_CHILD_SEED";
const CHILD_DIR: &str = "TSDB_HEAD_CHILD_DIR";

fn count() -> usize {
    let given = std::env::var("TSDB_HEAD_DIRS").ok().map(|text| text.parse().unwrap());
    given.unwrap_or(DIRS)
}

fn random_options(random: &mut Random) -> Options {
    let chunk_range_ms = random.pick(&[600_000, 1_800_000, 7_200_000]);
    let store_start_timestamps = random.percent(40);
    Options {
        chunk_range_ms,
        out_of_order_window_ms: random.pick(&[0, chunk_range_ms, 4 * chunk_range_ms]),
        out_of_order_cap_max: random.pick(&[4, 32]),
        xor2: store_start_timestamps || random.percent(20),
        histogram_start_timestamps: store_start_timestamps,
        store_start_timestamps,
        exemplars_max: 100,
        wal_compression: random.pick(&["none", "snappy", "zstd"]),
        wal_segment_bytes: random.pick(&[1 << 15, 1 << 17, 128 << 20]),
        no_overlapping_compaction: false,
    }
}

/// What we read of a directory, of a copy.
fn our_digest(dir: &Path, options: &Options) -> Vec<String> {
    let work = tempfile::tempdir().unwrap();
    let copied = work.path().join("data");
    ours::copy(dir, &copied);
    let db = Db::open(&copied, ours::options(options)).unwrap();
    let querier = db.querier(TimeRange::ALL).unwrap();
    let mut lines = digest::lines(&querier.querier()).unwrap();
    lines.extend(digest::exemplars(db.head()));
    db.close().unwrap();
    lines
}

fn assert_same(ours: &[String], theirs: &[String], story: &str) {
    assert!(!theirs.is_empty(), "{story}: there is nothing in it");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs, "{story}, ours on the left");
    }
    assert_eq!(ours.len(), theirs.len(), "{story}: series, ours on the left");
}

#[test]
fn directories_of_prometheus_are_read_as_it_reads_them() {
    let mut seeds = Random(seed_or_first());
    for _ in 0..count() {
        let seed = seeds.next();
        let mut random = Random(seed);
        let options = random_options(&mut random);
        let kill_ms = random.pick(&[0, 30, 300, 1500]);
        let work = tempfile::tempdir().unwrap();
        let dir = work.path().join("data");
        let Some(mut command) = judge::command("datadir") else { return };
        let json = options.json().to_string();
        command.arg(format!("--seed={seed}")).arg("--options").arg(&json);
        command.arg(format!("--kill={kill_ms}ms")).arg(&dir);
        let story = format!("seed {seed}, options {json}, kill within {kill_ms} ms");
        let status = command.status().unwrap();
        assert_eq!(status.success(), kill_ms == 0, "{story}: {status}");
        if !dir.join("wal").exists() {
            continue; // It was killed before it began.
        }
        let theirs = theirs::digest(&dir, &json).unwrap();
        if theirs.is_empty() && kill_ms > 0 {
            continue; // Before the first commit.
        }
        assert_same(&our_digest(&dir, &options), &theirs, &story);
    }
}

/// Without a judge: what 3.15 read is committed beside the directories.
#[test]
fn committed_directories_are_read_as_prometheus_reads_them() {
    let mut met = 0;
    for dir in list(&testdata().join("head")).iter().filter(|path| path.is_dir()) {
        let json = fs::read(dir.with_extension("json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let number = |name: &str| json[name].as_i64().unwrap_or(0);
        let flag = |name: &str| json[name].as_bool().unwrap_or(false);
        let options = Options {
            chunk_range_ms: number("chunk_range_ms"),
            out_of_order_window_ms: number("out_of_order_window_ms"),
            out_of_order_cap_max: number("out_of_order_cap_max") as u8,
            xor2: flag("xor2"),
            histogram_start_timestamps: flag("histogram_start_timestamps"),
            store_start_timestamps: flag("store_start_timestamps"),
            exemplars_max: number("exemplars_max") as usize,
            wal_segment_bytes: number("wal_segment_bytes") as u64,
            ..Options::default()
        };
        let text = fs::read_to_string(dir.with_extension("txt")).unwrap();
        let theirs: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_same(&our_digest(dir, &options), &theirs, &dir.display().to_string());
        met += 1;
    }
    assert!(met >= 4, "testdata is not whole: {met} directories");
}

/// A program that only appends, deletes, flushes: its state is defined behind each operation.
fn child_program(seed: u64) -> Program {
    let mut random = Random(seed);
    let allowed = Allowed { deletes: true, flushes: true, is_replayed: true, ..Allowed::default() };
    generate(&mut random, allowed, 300)
}

/// Not a test: the process that [`what_was_acknowledged_before_a_kill_is_read_by_prometheus`] kills.
/// It says each operation's number once that is done.
#[test]
#[ignore = "started by another test"]
fn child() {
    let (Ok(seed), Ok(dir)) = (std::env::var(CHILD_SEED), std::env::var(CHILD_DIR)) else { return };
    let program = child_program(seed.parse().unwrap());
    let dir = Path::new(&dir);
    let mut out = std::io::stdout();
    ours::run(&program, &dir.join("data"), &dir.join("blocks"), |done| {
        writeln!(out, "\ndone {done}").unwrap();
        out.flush().unwrap();
    });
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_read_by_prometheus() {
    let mut seeds = Random(seed_or_first());
    for _ in 0..count() {
        let seed = seeds.next();
        let work = tempfile::tempdir().unwrap();
        let program = child_program(seed);
        let after = Random(seed ^ 1).below(program.ops.len() as u64 + 1) as usize;
        let done = run_and_kill(seed, work.path(), after);
        let story = format!("seed {seed}, {done} of {} operations", program.ops.len());
        let json = program.options.json().to_string();
        let Some(theirs) = theirs::digest(&work.path().join("data"), &json) else { return };
        let ours = our_digest(&work.path().join("data"), &program.options);
        if ours != theirs {
            let kept = work.keep();
            assert_same(&ours, &theirs, &format!("{story}, options {json}, kept as {kept:?}"));
        }
        // It may have been in the middle of the next operation.
        let [Some(before), Some(behind)] = [done, done + 1].map(|ops| state(&program, ops)) else {
            continue; // 3.15 does not come so far.
        };
        let states: Vec<_> = before.into_iter().chain(behind).collect();
        assert_between(&samples_of(&ours), &states, &story);
        say(&format!("killed, {story}: {} series as they should be", states[0].len()));
    }
}

/// Runs the child and kills it once it has done that many operations, and some time later; how many
/// it said that it had done.
fn run_and_kill(seed: u64, dir: &Path, after: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "head::datadirs_judge::child", "--ignored", "--nocapture"])
        .env(CHILD_SEED, seed.to_string())
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut done = 0;
    let mut killed = false;
    for line in lines {
        let line = line.unwrap();
        let Some(number) = line.strip_prefix("done ") else { continue };
        done = number.parse().unwrap();
        if done >= after && !killed {
            thread::sleep(Duration::from_micros(Random(seed).below(3000)));
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "seed {seed}: it ended by itself");
    done
}

/// What a query must find after the first `ops` operations, as 3.15 has it, if it comes so far: in
/// memory, and after a kill of its own, when a few samples may be others. A stale marker of a series
/// is of the kind that its newest chunk has then, for example.
fn state(program: &Program, ops: usize) -> Option<[Vec<String>; 2]> {
    let work = tempfile::tempdir().unwrap();
    let mut part = program.clone();
    part.ops.truncate(ops);
    part.ops.extend([Op::State, Op::Kill, Op::State]);
    let whole = part.ops.len();
    let answers = theirs::run(&mut part, &work.path().join("data"), &work.path().join("blocks"));
    let answers = answers.unwrap();
    let lines = |answer: &Vec<String>| samples_of(answer.get(1..).unwrap_or_default());
    let [state, _, reopened] = answers.last_chunk().filter(|_| answers.len() == whole)?;
    Some([lines(state), lines(reopened)])
}

/// The lines without those of exemplars. A ring of exemplars is no log: what is in it depends on what
/// else was, and a log has only those that no block stands for.
fn samples_of(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !line.starts_with("exemplars ")).cloned().collect()
}

/// That each series is as in one of the states.
fn assert_between(found: &[String], states: &[Vec<String>], story: &str) {
    for line in found {
        let is_known = states.iter().any(|state| state.contains(line));
        assert!(is_known, "{story}: {line}\n{}", alike(line, states).join("\n"));
    }
    for line in states.iter().take(1).flatten() {
        if states.iter().all(|state| state.contains(line)) {
            assert!(found.contains(line), "{story}: {line} is missing");
        }
    }
}

/// The lines about the same series.
fn alike<'s>(line: &str, states: &'s [Vec<String>]) -> Vec<&'s str> {
    let labels = |line: &str| line.split_once('{').map(|(_, labels)| labels.to_owned());
    let same = |other: &&String| labels(other) == labels(line);
    states.iter().flatten().filter(same).map(String::as_str).collect()
}
