//! Every durable effect of compacting, deleting, cleaning and copying blocks, with a fault in it, and
//! the disks that a power cut leaves. Every so-many-th of them, from one that the seed says; with
//! `TSDB_CRASH_EVERY=1` none is left out.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::world::{number, open, options, os_vfs, scratch, seed};
use crate::compact::CancelToken;
use crate::db::{Db, DbError, DbOptions};
use crate::generate::{GenerateOptions, generate};
use crate::query::{Samples, TimeRange, parse_selector};
use crate::vfs::Vfs;
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};
use crate::wal::SyncPolicy;

/// One effect of this many is tried.
const EVERY: u64 = 3;
const BLOCK_MS: i64 = 8000;
/// Images of each power cut: everything lost, everything kept, then all but one thing.
const IMAGES: usize = 3;
/// What is deleted: the end of the first block and the begin of the second one.
const DELETED: TimeRange = TimeRange { mint: 5000, maxt: 11_000 };

type Sample = (String, i64);

fn blocks() -> Tree {
    let root = scratch();
    let mut generated = GenerateOptions::default();
    (generated.series, generated.samples, generated.blocks) = (4, 8, 4);
    (generated.interval_ms, generated.start_ms) = (1000, 0);
    let vfs = os_vfs(root.path());
    generate(&vfs, root.path(), &generated, &CancelToken::new(), |_| ()).unwrap();
    Tree::of(root.path()).unwrap()
}

fn block_options() -> DbOptions {
    options(SyncPolicy::EveryCommit).block_durations_ms(BLOCK_MS, Some(3 * BLOCK_MS))
}

fn read(db: &Db, when: &dyn fmt::Display) -> BTreeSet<Sample> {
    let querier = db.querier(TimeRange::ALL).unwrap();
    let mut set = querier.select(&parse_selector("{__name__=~\".+\"}").unwrap()).unwrap();
    let (mut samples, mut found) = (Samples::new(), BTreeSet::new());
    while let Some(series) = set.next().unwrap_or_else(|error| panic!("{error}\n{when}")) {
        series.samples(&mut samples);
        let labels = series.owned_labels().to_string();
        while samples.next().unwrap_or_else(|error| panic!("{error}\n{when}")).is_some() {
            let is_new = found.insert((labels.clone(), samples.timestamp()));
            assert!(is_new, "{labels} {} twice\n{when}", samples.timestamp());
        }
    }
    found
}

/// How far the program came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deletion {
    NotBegun,
    /// It failed, so some blocks may have it.
    Begun,
    Done,
}

/// Compacts, deletes and cleans. What fails is tried again once, as a program would later on.
fn run(sim: &SimVfs, root: &Path, deletion: &mut Deletion) -> Result<(), DbError> {
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    let db = open(&vfs, root, &block_options())?;
    let all = parse_selector("{__name__=~\".+\"}").unwrap();
    let twice = |step: &mut dyn FnMut() -> Result<(), DbError>| step().or_else(|_| step());
    twice(&mut || db.snapshot(&root.join("copy"), true).map(drop)).ok();
    twice(&mut || {
        *deletion = if *deletion == Deletion::Done { Deletion::Done } else { Deletion::Begun };
        db.delete(&all, DELETED)?;
        *deletion = Deletion::Done;
        Ok(())
    })
    .ok();
    twice(&mut || db.compact().map(drop)).ok();
    twice(&mut || db.clean_tombstones().map(drop)).ok();
    twice(&mut || db.reload().map(drop))
}

fn check(root: &Path, before: &BTreeSet<Sample>, deletion: Deletion, when: &dyn fmt::Display) {
    let is_deleted = |(_, t): &&Sample| DELETED.contains(*t);
    let kept: BTreeSet<&Sample> = before.iter().filter(|sample| !is_deleted(sample)).collect();
    let vfs = os_vfs(root);
    let db = open(&vfs, root, &block_options()).unwrap_or_else(|e| panic!("{e:?}\n{when}"));
    assert!(db.problems().is_empty(), "{:?}\n{when}", db.problems());
    for round in ["opened", "settled", "cleaned"] {
        let found = read(&db, when);
        let lost: Vec<_> = kept.iter().filter(|sample| !found.contains(**sample)).collect();
        assert!(lost.is_empty(), "{round}: lost {lost:?}\n{when}");
        let expected = if deletion == Deletion::Done { kept.len() } else { before.len() };
        let is_whole = found.len() == expected && found.is_subset(before);
        let some_deleted = deletion == Deletion::Begun && found.is_subset(before);
        assert!(is_whole || some_deleted, "{round}: {deletion:?}, {} found\n{when}", found.len());
        match round {
            "opened" => drop(db.compact().unwrap_or_else(|e| panic!("{e:?}\n{when}"))),
            _ => drop(db.clean_tombstones().unwrap_or_else(|e| panic!("{e:?}\n{when}"))),
        }
    }
}

fn strike(kind: FaultKind) {
    let tree = blocks();
    let whole = scratch();
    tree.write_to(whole.path()).unwrap();
    let before = read(&open(&os_vfs(whole.path()), whole.path(), &block_options()).unwrap(), &"");
    assert!(before.iter().any(|(_, t)| DELETED.contains(*t)) && before.len() > 100);

    let every = number("TSDB_CRASH_EVERY").unwrap_or(EVERY) as usize;
    let (mut at, mut fired, mut images) = (seed("TSDB_CRASH_SEED") as usize % every, 0, 0);
    loop {
        let root = scratch();
        tree.write_to(root.path()).unwrap();
        let sim = SimVfs::new(root.path()).unwrap();
        sim.inject(Fault { at, kind });
        let mut deletion = Deletion::NotBegun;
        run(&sim, root.path(), &mut deletion).ok();
        let effects = sim.effect_count();
        fired += usize::from(sim.fault_fired());
        // Where nothing struck, the end is the end; the last images are those of a good run.
        let last = !sim.fault_fired() && at >= effects;
        if sim.fault_fired() || last {
            for image in sim.images(effects, at as u64).take(IMAGES) {
                let fresh = scratch();
                image.tree().write_to(fresh.path()).unwrap();
                let when = format!("{kind:?} at {at}: {image}");
                check(fresh.path(), &before, deletion, &when);
                images += 1;
            }
            check(root.path(), &before, deletion, &format!("{kind:?} at {at}: killed"));
        }
        if last {
            break;
        }
        at += every;
    }
    println!("{kind:?}: {fired} of {at} effects struck, {images} images");
    // Of some 180 effects, 25 are writes.
    assert!(fired * every >= 12);
}

#[test]
fn stopped_at_every_effect() {
    strike(FaultKind::Stop);
}

#[test]
fn a_device_error_at_every_effect() {
    strike(FaultKind::DeviceError);
}

#[test]
fn a_failed_sync_at_every_one() {
    strike(FaultKind::FailingSync);
}

#[test]
fn half_a_write_and_a_full_disk_at_every_one() {
    strike(FaultKind::ShortWrite);
    strike(FaultKind::DiskFull);
}
