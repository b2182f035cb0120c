//! The process dies, or the disk fails, at every durable effect of a program; then the power goes,
//! too. What was acknowledged is there after reopening, nothing twice, nothing invented.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::world::{Model, Op, Random, number, open, options, program, scratch, seed_or_first};
use crate::db::DbOptions;
use crate::query::TimeRange;
use crate::vfs::Vfs;
use crate::vfs::sim::{Effect, Fault, FaultKind, SimVfs};
use crate::wal::SyncPolicy;

/// `TSDB_CRASH_RUNS` for more: how many (program, effect, fault) are tried in each test.
/// `TSDB_CRASH_SEED` for the first program; with `TSDB_CRASH_AT` that one is tried at this effect only.
/// Past the page cache the same programs do the same, but slower.
const RUNS: u64 = if cfg!(feature = "forcedirectio") { 30 } else { 340 };
/// So many of them are of the same program.
const RUNS_OF_A_PROGRAM: u64 = 10;
const STEPS: usize = 30;
/// Images of each power cut: the extreme ones, then some drawn of all.
const IMAGES: usize = 4;

struct Story<'a> {
    seed: u64,
    fault: Fault,
    ops: &'a [Op],
    done: usize,
    /// What stood around the effect that was struck.
    around: String,
    image: String,
}

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, fault, done, around, image, .. } = self;
        let last = done.checked_sub(1).and_then(|at| self.ops.get(at));
        write!(f, "seed {seed}, {fault:?}, {done} steps, the last one {last:?}; {image}\n{around}")
    }
}

fn runs() -> u64 {
    number("TSDB_CRASH_RUNS").unwrap_or(RUNS)
}

/// What a power cut may take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// Nothing that was acknowledged.
    All,
    /// What was not synced; a killed process still loses nothing.
    Killed,
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    strike(FaultKind::Stop, SyncPolicy::EveryCommit, Promise::All);
}

#[test]
fn without_syncs_a_killed_process_loses_nothing_and_a_power_cut_invents_nothing() {
    strike(FaultKind::Stop, SyncPolicy::None, Promise::Killed);
}

#[test]
fn a_device_error_loses_nothing_that_was_acknowledged() {
    strike(FaultKind::DeviceError, SyncPolicy::EveryCommit, Promise::All);
}

#[test]
fn half_a_write_loses_nothing_that_was_acknowledged() {
    strike(FaultKind::ShortWrite, SyncPolicy::EveryCommit, Promise::All);
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    strike(FaultKind::DiskFull, SyncPolicy::EveryCommit, Promise::All);
}

#[test]
fn a_failed_sync_loses_nothing_that_was_acknowledged() {
    strike(FaultKind::FailingSync, SyncPolicy::EveryCommit, Promise::All);
}

/// Runs programs with one fault each, at effects drawn of those that it strikes.
fn strike(kind: FaultKind, sync: SyncPolicy, promise: Promise) {
    let first = seed_or_first("TSDB_CRASH_SEED");
    if let Some(at) = number("TSDB_CRASH_AT") {
        strike_once(first, Fault { at: at as usize, kind }, sync, promise);
        return;
    }
    let mut random = Random(first);
    let (mut fired, mut images) = (0, 0);
    let mut places = Vec::new();
    for run in 0..runs() {
        let seed = first.wrapping_add(run / RUNS_OF_A_PROGRAM);
        if run % RUNS_OF_A_PROGRAM == 0 {
            places = strikable(seed, sync, kind);
        }
        let at = places[random.below(places.len() as u64) as usize];
        let outcome = strike_once(seed, Fault { at, kind }, sync, promise);
        fired += usize::from(outcome.fired);
        images += outcome.images;
    }
    println!("{kind:?}: {fired} faults of {} fired, {images} images were opened", runs());
    // A few programs go another way the second time, and meet no such effect there.
    assert!(fired as u64 * 10 >= runs() * 9, "only {fired} faults fired");
}

struct Outcome {
    fired: bool,
    images: usize,
}

/// The effects of a program that such a fault would strike.
fn strikable(seed: u64, sync: SyncPolicy, kind: FaultKind) -> Vec<usize> {
    let root = scratch();
    let sim = SimVfs::new(root.path()).unwrap();
    let mut model = Model::default();
    run(&sim, root.path(), &program(seed, STEPS), &options(sync), &mut model);
    sim.strikable(kind)
}

/// Runs the program until the process is dead, or to its end; how many steps that were.
fn run(sim: &SimVfs, root: &Path, ops: &[Op], options: &DbOptions, model: &mut Model) -> usize {
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    let dir = root.join("data");
    let mut db = open(&vfs, &dir, options);
    for (step, op) in ops.iter().enumerate() {
        match (&db, op) {
            (Ok(open_db), Op::Close | Op::Kill) => {
                if matches!(op, Op::Close) {
                    // What could not be ended well is repaired when it is opened.
                    open_db.close().ok();
                }
                drop(db);
                db = open(&vfs, &dir, options);
            }
            (Ok(db), op) => drop(model.apply(db, op)),
            // The disk was full, say: an operator tries again.
            (Err(_), _) => db = open(&vfs, &dir, options),
        }
        if sim.fault_fired() && sim.is_stopped() {
            return step + 1;
        }
    }
    ops.len()
}

fn strike_once(seed: u64, fault: Fault, sync: SyncPolicy, promise: Promise) -> Outcome {
    let ops = program(seed, STEPS);
    let options = options(sync);
    let root = scratch();
    let sim = SimVfs::new(root.path()).unwrap();
    sim.inject(fault);
    let mut model = Model::default();
    let done = run(&sim, root.path(), &ops, &options, &mut model);
    let around = around(&sim, fault.at);
    let mut story = Story { seed, fault, ops: &ops, done, around, image: "killed".to_owned() };
    let mut images = 0;
    let drawn = seed ^ (fault.at as u64) << 20;
    for image in sim.images(sim.effect_count(), drawn).mixed(drawn).take(IMAGES) {
        story.image = image.to_string();
        let fresh = scratch();
        image.tree().write_to(fresh.path()).unwrap();
        reopen(fresh.path(), &options, model.clone(), promise == Promise::All, &story);
        images += 1;
    }
    story.image = "killed".to_owned();
    reopen(root.path(), &options, model, true, &story);
    Outcome { fired: sim.fault_fired(), images: images + 1 }
}

/// The effects before and behind one, each with the path that it is about.
fn around(sim: &SimVfs, at: usize) -> String {
    let effects = sim.effects();
    let path_of = |number: usize| {
        effects.iter().find_map(|effect| match effect {
            Effect::Create { path, file } if *file == number => Some(path.display().to_string()),
            _ => None,
        })
    };
    // `TSDB_CRASH_EFFECTS` for how many are told.
    let many = number("TSDB_CRASH_EFFECTS").unwrap_or(8) as usize;
    let window = effects.iter().enumerate().skip(at.saturating_sub(many / 2)).take(many);
    let text = window.map(|(number, effect)| match effect {
        Effect::Write { file, offset, bytes } => {
            format!("{number}: write {} at {offset} of {:?}", bytes.len(), path_of(*file))
        }
        Effect::Sync { file, failed } => {
            format!("{number}: sync {:?}, failed: {failed}", path_of(*file))
        }
        other => format!("{number}: {other:?}"),
    });
    text.collect::<Vec<_>>().join("\n")
}

/// Opens what is left, compares, and goes on with it for a while.
fn reopen(root: &Path, options: &DbOptions, mut model: Model, all: bool, story: &Story<'_>) {
    // Nothing is lost any more, so nothing has to be synced for real.
    let vfs: Arc<dyn Vfs> = Arc::new(SimVfs::new(root).unwrap());
    let dir = root.join("data");
    let fail = |error: &dyn fmt::Debug| -> ! { panic!("{error:?}\n{story}") };
    let db = open(&vfs, &dir, options).unwrap_or_else(|error| fail(&error));
    let querier = db.querier(TimeRange::ALL).unwrap();
    if all {
        model.check(&querier, story);
    } else {
        model.check_invented(&querier, story);
    }
    // A power cut may have taken the log, and left blocks that reach further.
    let last_block = db.blocks().iter().map(|block| block.meta().max_time).max();
    let now = db.head().max_time().max(last_block.unwrap_or(1_000_000)) + 300;
    let later = [
        Op::Append(vec![(0, now), (1, now), (3, now)]),
        Op::Flush,
        Op::Append(vec![(0, now + 1200), (3, now + 1200)]),
        Op::Flush,
        Op::Compact,
    ];
    for op in &later {
        model
            .apply(&db, op)
            .unwrap_or_else(|error| panic!("{op:?} afterwards: {error:?}\n{story}"));
    }
    model.check(&db.querier(TimeRange::ALL).unwrap(), story);
    db.close().unwrap_or_else(|error| fail(&error));
    drop(db);
    let db = open(&vfs, &dir, options).unwrap_or_else(|error| fail(&error));
    model.check(&db.querier(TimeRange::ALL).unwrap(), story);
}
