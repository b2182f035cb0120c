//! Random programs against a model: after every step the database answers what the model holds.

use std::fmt;

use super::world::{
    Failure, Model, Op, RANGE_MS, Random, number, open, options, os_vfs, program, seed_or_first,
};
use crate::db::{Db, Retention};
use crate::query::TimeRange;
use crate::wal::SyncPolicy;

/// `TSDB_MODEL_RUNS` for more of them, `TSDB_MODEL_SEED` for the first one.
const RUNS: u64 = 20;
const STEPS: usize = 120;

struct When<'a> {
    seed: u64,
    step: usize,
    ops: &'a [Op],
    /// What the last opening has read.
    replayed: String,
}

impl fmt::Display for When<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, replayed, .. } = self;
        write!(f, "seed {seed}, step {step}: {:?}; {replayed}", self.ops.get(self.step))
    }
}

#[test]
fn the_database_holds_what_the_model_holds() {
    let first = seed_or_first("TSDB_MODEL_SEED");
    for seed in first..first + number("TSDB_MODEL_RUNS").unwrap_or(RUNS) {
        run(seed);
    }
}

fn run(seed: u64) {
    let ops = program(seed, STEPS);
    let options = options(SyncPolicy::None);
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let vfs = os_vfs(root.path());
    let mut db = open(&vfs, &dir, &options).unwrap();
    let mut model = Model::default();
    for (step, op) in ops.iter().enumerate() {
        let mut when = When { seed, step, ops: &ops, replayed: format!("{:?}", db.replayed()) };
        match op {
            Op::Close => {
                db.close().unwrap_or_else(|error| panic!("{error:?}\n{when}"));
                drop(db);
                db = open(&vfs, &dir, &options).unwrap_or_else(|error| panic!("{error:?}\n{when}"));
            }
            Op::Kill => {
                drop(db);
                db = open(&vfs, &dir, &options).unwrap_or_else(|error| panic!("{error:?}\n{when}"));
            }
            op => model.apply(&db, op).unwrap_or_else(|error: Failure| panic!("{error:?}\n{when}")),
        }
        when.replayed = format!("{:?}", db.replayed());
        assert!(db.problems().is_empty(), "{:?}\n{when}", db.problems());
        model.check(&db.querier(TimeRange::ALL).unwrap(), &when);
    }
    assert!(model.certain.len() > 50, "seed {seed}: only {} samples", model.certain.len());
    snapshot_holds_the_same(&db, &model, seed);
    retention_takes_the_oldest_and_nothing_else(&db, model, seed);
}

fn snapshot_holds_the_same(db: &Db, model: &Model, seed: u64) {
    let root = tempfile::tempdir().unwrap();
    let dest = root.path().join("snapshot");
    db.snapshot(&dest, true).unwrap();
    let vfs = os_vfs(root.path());
    let copy = open(&vfs, &dest, &options(SyncPolicy::None)).unwrap();
    let when = format!("seed {seed}: snapshot");
    model.clone().check(&copy.querier(TimeRange::ALL).unwrap(), &when);
}

fn retention_takes_the_oldest_and_nothing_else(db: &Db, mut model: Model, seed: u64) {
    let Some(newest) = db.blocks().iter().map(|block| block.meta().max_time).max() else { return };
    let time_ms = RANGE_MS * (1 + Random(seed).below(6) as i64);
    db.set_retention(Retention::unlimited().time_ms(time_ms)).unwrap();
    let before = db.blocks();
    let reloaded = db.reload().unwrap();
    for block in &before {
        let meta = block.meta();
        let gone = reloaded.beyond_retention.contains(&meta.ulid);
        assert_eq!(gone, newest - meta.max_time >= time_ms, "seed {seed}: {meta:?}");
        assert_eq!(gone, !block.dir().exists(), "seed {seed}: {meta:?}");
    }
    let last_gone = before
        .iter()
        .filter(|block| reloaded.beyond_retention.contains(&block.id()))
        .map(|block| block.meta().max_time)
        .max();
    let (old, kept) = std::mem::take(&mut model.certain)
        .into_iter()
        .partition(|(_, t)| last_gone.is_some_and(|end| *t < end));
    (model.maybe, model.certain) = (old, kept);
    model.check(&db.querier(TimeRange::ALL).unwrap(), &format!("seed {seed}: retention"));
}
