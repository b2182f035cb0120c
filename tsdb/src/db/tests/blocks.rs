//! A database over blocks that others made: loading, adopting, retention, deletion, copies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::meta::{BlockMeta, Ulid};

use super::world::{open, options, os_vfs};
use crate::block::lock::{DataDirLock, LockError};
use crate::block::{read_meta, verify::Verifier};
use crate::compact::{BuiltBlock, CancelToken, CompactOptions, Compactor};
use crate::db::reload::{dir_bytes, disk_bytes, head_bytes};
use crate::db::{Db, DbError, DbQuerier, ReadOnlyDb, Retention};
use crate::generate::{GenerateOptions, generate};
use crate::head::HeadOptions;
use crate::query::{Matcher, Samples, TimeRange, parse_selector};
use crate::wal::SyncPolicy;

const SERIES: u64 = 20;
const SAMPLES: u32 = 30;
const INTERVAL_MS: i64 = 1000;
/// What one generated block covers.
const BLOCK_MS: i64 = SAMPLES as i64 * INTERVAL_MS;

/// A data directory with `blocks` blocks, one behind the other, oldest first.
fn directory(blocks: u32) -> (tempfile::TempDir, Vec<PathBuf>) {
    let root = tempfile::tempdir().unwrap();
    let mut generated = GenerateOptions::default();
    (generated.series, generated.samples, generated.blocks) = (SERIES, SAMPLES, blocks);
    (generated.interval_ms, generated.start_ms) = (INTERVAL_MS, 0);
    let mut dirs = Vec::new();
    let keep = |block: &BuiltBlock| dirs.push(block.path.clone());
    generate(&os_vfs(root.path()), root.path(), &generated, &CancelToken::new(), keep).unwrap();
    dirs.sort_by_key(|dir| read_meta(dir).unwrap().min_time);
    (root, dirs)
}

fn open_db(dir: &Path) -> Db {
    open(&os_vfs(dir), dir, &unplanned()).unwrap()
}

/// Options under which nothing is compacted for its range.
fn unplanned() -> crate::db::DbOptions {
    options(SyncPolicy::None).block_durations_ms(BLOCK_MS, Some(BLOCK_MS))
}

fn count(querier: &DbQuerier) -> usize {
    let mut set = querier.select(&parse_selector("{__name__=~\".+\"}").unwrap()).unwrap();
    let (mut samples, mut count) = (Samples::new(), 0);
    while let Some(series) = set.next().unwrap() {
        series.samples(&mut samples);
        let mut last = None;
        while samples.next().unwrap().is_some() {
            assert!(last.is_none_or(|last| last < samples.timestamp()));
            last = Some(samples.timestamp());
            count += 1;
        }
    }
    count
}

fn count_all(db: &Db) -> usize {
    count(&db.querier(TimeRange::ALL).unwrap())
}

fn ids(db: &Db) -> Vec<Ulid> {
    db.blocks().iter().map(|block| block.id()).collect()
}

fn id_of(dir: &Path) -> Ulid {
    dir.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

fn merge(dir: &Path, sources: &[PathBuf]) -> PathBuf {
    let compactor = Compactor::new(os_vfs(dir), CompactOptions::default());
    compactor.merge(sources, dir).unwrap().block.unwrap().path().to_owned()
}

#[test]
fn blocks_are_served_by_time_and_new_ones_found() {
    let (root, dirs) = directory(3);
    let aside = tempfile::tempdir().unwrap();
    let hidden = aside.path().join(dirs[1].file_name().unwrap());
    fs::rename(&dirs[1], &hidden).unwrap();
    let db = open_db(root.path());
    assert_eq!(ids(&db), [id_of(&dirs[0]), id_of(&dirs[2])]);
    let before = count_all(&db);
    let querier = db.querier(TimeRange::ALL).unwrap();

    fs::rename(&hidden, &dirs[1]).unwrap();
    let reloaded = db.reload().unwrap();
    assert_eq!((reloaded.blocks, reloaded.new), (3, vec![id_of(&dirs[1])]));
    assert_eq!(ids(&db), dirs.iter().map(|dir| id_of(dir)).collect::<Vec<_>>());
    assert!(count_all(&db) > before);
    assert_eq!(count(&querier), before, "what a query began with stays as it was");
    assert!(db.reload().unwrap().new.is_empty());
}

#[test]
fn one_owner_at_a_time_and_nothing_is_swept_before_the_lock_is_held() {
    let (root, _) = directory(1);
    let unfinished = root.path().join("01BX5ZZKBKACTAV9WEVGEMMVRZ.tmp-for-creation");
    let checkpoint = root.path().join("wal/checkpoint.00000003.tmp");
    let other = root.path().join("tmp_dbro_sandbox");
    for dir in [&unfinished, &checkpoint, &other] {
        fs::create_dir_all(dir).unwrap();
    }
    let lock = DataDirLock::acquire(root.path()).unwrap();
    let refused = open(&os_vfs(root.path()), root.path(), &unplanned()).unwrap_err();
    assert!(matches!(refused, DbError::Lock(LockError::Held { .. })), "{refused:?}");
    assert!(unfinished.exists() && checkpoint.exists());
    drop(lock);

    let db = open_db(root.path());
    assert!(!unfinished.exists() && !checkpoint.exists() && other.exists());
    let second = open(&os_vfs(root.path()), root.path(), &unplanned()).unwrap_err();
    assert!(matches!(second, DbError::Lock(_)), "{second:?}");
    db.close().unwrap();
    assert!(matches!(db.querier(TimeRange::ALL), Err(DbError::Closed)));
    assert!(matches!(db.appender().map(drop), Err(DbError::Closed)));
    assert!(matches!(db.flush(), Err(DbError::Closed)));
    db.close().unwrap();
    drop(open_db(root.path()));
}

#[test]
fn a_bad_block_is_named_and_left_alone_and_the_others_are_served() {
    let (root, dirs) = directory(3);
    fs::write(dirs[1].join("index"), b"no index").unwrap();
    let unlike = root.path().join("01bx5zzkbkactav9wevgemmvrz");
    fs::create_dir(&unlike).unwrap();
    let db = open_db(root.path());
    assert_eq!(ids(&db), [id_of(&dirs[0]), id_of(&dirs[2])]);
    let problems: BTreeSet<PathBuf> = db.problems().iter().map(|it| it.dir.clone()).collect();
    assert_eq!(problems, BTreeSet::from([dirs[1].clone(), unlike.clone()]));
    // Not even retention may take what nobody could look into.
    db.set_retention(Retention::unlimited().bytes_max(1)).unwrap();
    assert_eq!(db.reload().unwrap().beyond_retention.len(), 2);
    assert!(dirs[1].exists() && unlike.exists() && !dirs[0].exists());
}

#[test]
fn what_prometheus_marked_as_deletable_goes() {
    let (root, dirs) = directory(2);
    let path = dirs[0].join("meta.json");
    let mut meta = BlockMeta::decode(&fs::read(&path).unwrap()).unwrap();
    meta.compaction.deletable = true;
    fs::write(&path, meta.encode().unwrap()).unwrap();
    let db = open_db(root.path());
    assert_eq!(ids(&db), [id_of(&dirs[1])]);
    assert!(!dirs[0].exists());
}

#[test]
fn an_adopted_child_takes_the_place_of_the_parents_that_it_holds() {
    let (root, dirs) = directory(3);
    let db = open_db(root.path());
    let before = count_all(&db);
    let child = merge(root.path(), &dirs[..2]);
    let querier = db.querier(TimeRange::ALL).unwrap();
    db.reload().unwrap();
    assert_eq!(count_all(&db), before, "parent and child beside each other are one sample");
    let compacted = db.compact().unwrap();
    let gone: BTreeSet<PathBuf> = compacted.superseded.into_iter().collect();
    assert_eq!(gone, dirs[..2].iter().cloned().collect());
    assert_eq!(ids(&db), [id_of(&child), id_of(&dirs[2])]);
    assert!(!dirs[0].exists() && !dirs[1].exists());
    assert_eq!(count_all(&db), before);
    assert_eq!(count(&querier), before, "deleted files stay readable under a query");
}

#[test]
fn a_child_that_lacks_a_sample_condemns_nobody() {
    let (root, dirs) = directory(3);
    let db = open_db(root.path());
    let child = merge(root.path(), &dirs[..1]);
    // It claims the second one, too.
    let path = child.join("meta.json");
    let mut meta = BlockMeta::decode(&fs::read(&path).unwrap()).unwrap();
    let claimed = read_meta(&dirs[1]).unwrap();
    meta.max_time = claimed.max_time;
    meta.compaction.sources.extend(claimed.compaction.sources);
    let mut desc = meta.compaction.parents[0].clone();
    (desc.ulid, desc.min_time, desc.max_time) = (claimed.ulid, claimed.min_time, claimed.max_time);
    meta.compaction.parents.push(desc);
    fs::write(&path, meta.encode().unwrap()).unwrap();

    let before = count_all(&db);
    db.reload().unwrap();
    let compacted = db.compact().unwrap();
    assert!(!compacted.disputes.is_empty());
    assert!(dirs.iter().all(|dir| dir.exists()) && child.exists());
    assert_eq!(count_all(&db), before);
}

#[test]
fn parents_are_not_counted_beside_their_child() {
    let (root, dirs) = directory(4);
    let db = open_db(root.path());
    let size = |dirs: &[PathBuf]| -> u64 { dirs.iter().map(|dir| dir_bytes(dir)).sum() };
    let head = head_bytes(root.path());
    let child = merge(root.path(), &dirs[2..]);
    let needed: u64 = head + size(&dirs[..2]) + size(std::slice::from_ref(&child));
    // Prometheus counts all six here, and deletes the oldest good blocks.
    db.set_retention(Retention::unlimited().bytes_max(needed)).unwrap();
    assert_eq!(db.reload().unwrap().beyond_retention, []);
    db.set_retention(Retention::unlimited().bytes_max(needed - 1)).unwrap();
    assert_eq!(db.reload().unwrap().beyond_retention, [id_of(&dirs[0])]);
    db.compact().unwrap();
    assert_eq!(ids(&db), [id_of(&dirs[1]), id_of(&child)]);
}

#[test]
fn the_share_of_the_disk_overrides_bytes() {
    let (root, _) = directory(2);
    let db = open_db(root.path());
    // All of the disk is more than these blocks have; a hundred bytes of it are less.
    db.set_retention(Retention::unlimited().bytes_max(1).percentage_max(100.0)).unwrap();
    assert_eq!(db.reload().unwrap().beyond_retention, []);
    let hundred_bytes = 100.0 * 100.0 / disk_bytes(root.path()) as f64;
    db.set_retention(Retention::unlimited().percentage_max(hundred_bytes)).unwrap();
    assert_eq!(db.reload().unwrap().beyond_retention.len(), 2);
    let refused = db.set_retention(Retention::unlimited().percentage_max(101.0));
    assert!(matches!(refused, Err(DbError::Options(_))));
}

#[test]
fn what_is_deleted_is_not_found_any_more_and_cleaned_away_for_good() {
    let (root, dirs) = directory(3);
    let db = open_db(root.path());
    let before = count_all(&db);
    let old = db.querier(TimeRange::ALL).unwrap();
    // From the middle of the first block to the middle of the second one.
    let range = TimeRange::new(BLOCK_MS / 2, BLOCK_MS + BLOCK_MS / 2);
    let doomed = count(&db.querier(range).unwrap());
    assert!(doomed > 0);
    let all = parse_selector("{__name__=~\".+\"}").unwrap();
    let deleted = db.delete(&all, range).unwrap();
    assert_eq!(deleted.blocks, 2);
    assert_eq!(count_all(&db), before - doomed);
    assert_eq!(count(&old), before);
    let stones = read_meta(&dirs[0]).unwrap().stats.num_tombstones;
    assert_eq!(stones, db.blocks()[0].tombstones().len() as u64);
    assert!(stones > 0);

    db.close().unwrap();
    let db = open_db(root.path());
    assert_eq!(count_all(&db), before - doomed);
    // A second interval is added to the first one.
    let more = TimeRange::new(0, BLOCK_MS / 4);
    let doomed = doomed + count(&db.querier(more).unwrap());
    db.delete(&all, more).unwrap();
    assert_eq!(count_all(&db), before - doomed);

    let cleaned = db.clean_tombstones().unwrap();
    assert_eq!((cleaned.cleaned.len(), cleaned.blocks.len()), (2, 2));
    assert!(!dirs[0].exists() && !dirs[1].exists() && dirs[2].exists());
    assert!(db.blocks().iter().all(|block| block.tombstones().is_empty()));
    assert_eq!(count_all(&db), before - doomed);
    for block in db.blocks() {
        assert!(Verifier::new().block(block.dir()).findings.is_empty());
    }
    assert_eq!(db.clean_tombstones().unwrap(), Default::default());
}

#[test]
fn a_block_of_which_everything_is_deleted_is_cleaned_into_nothing() {
    let (root, dirs) = directory(2);
    let db = open_db(root.path());
    let all = parse_selector("{__name__=~\".+\"}").unwrap();
    db.delete(&all, TimeRange::new(i64::MIN, BLOCK_MS - 1)).unwrap();
    let cleaned = db.clean_tombstones().unwrap();
    assert_eq!((cleaned.cleaned, cleaned.blocks), (vec![id_of(&dirs[0])], vec![]));
    assert!(!dirs[0].exists());
    assert_eq!(ids(&db), [id_of(&dirs[1])]);
}

#[test]
fn a_deletion_that_matches_nothing_writes_nothing() {
    let (root, dirs) = directory(1);
    let db = open_db(root.path());
    let stones = fs::read(dirs[0].join("tombstones")).unwrap();
    let nobody = [Matcher::equal("__name__", "nobody")];
    assert_eq!(db.delete(&nobody, TimeRange::ALL).unwrap(), Default::default());
    let all = parse_selector("{__name__=~\".+\"}").unwrap();
    assert_eq!(db.delete(&all, TimeRange::new(-9, -1)).unwrap(), Default::default());
    assert_eq!(fs::read(dirs[0].join("tombstones")).unwrap(), stones);
}

#[test]
fn blocks_are_compacted_in_place_and_their_sources_go() {
    let (root, dirs) = directory(4);
    let ranges = options(SyncPolicy::None).block_durations_ms(BLOCK_MS, Some(3 * BLOCK_MS));
    let db = open(&os_vfs(root.path()), root.path(), &ranges).unwrap();
    let before = count_all(&db);
    let querier = db.querier(TimeRange::ALL).unwrap();
    let compacted = db.compact().unwrap();
    assert_eq!(compacted.blocks.len(), 1);
    assert_eq!(ids(&db), [compacted.blocks[0], id_of(&dirs[3])]);
    assert!(dirs[..3].iter().all(|dir| !dir.exists()));
    assert_eq!((count_all(&db), count(&querier)), (before, before));
    assert!(db.compact().unwrap().blocks.is_empty());
}

#[test]
fn a_snapshot_is_a_database_of_its_own() {
    let (root, _) = directory(3);
    let db = open_db(root.path());
    let before = count_all(&db);
    let dest = root.path().join("snapshots/today");
    let snapshot = db.snapshot(&dest, false).unwrap();
    assert_eq!(snapshot.blocks, ids(&db));
    // What happens to the database does not reach the snapshot.
    let all = parse_selector("{__name__=~\".+\"}").unwrap();
    db.delete(&all, TimeRange::ALL).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(count_all(&db), 0);
    let copy = open_db(&dest);
    assert_eq!(count_all(&copy), before);
    for block in copy.blocks() {
        assert!(Verifier::new().block(block.dir()).findings.is_empty());
    }
}

#[test]
fn a_snapshot_does_not_go_where_it_would_be_loaded() {
    let (root, dirs) = directory(1);
    let db = open_db(root.path());
    let inside = root.path().join("01BX5ZZKBKACTAV9WEVGEMMVRZ");
    for dest in [root.path(), &root.path().join("."), &inside, &dirs[0]] {
        let refused = db.snapshot(dest, false).unwrap_err();
        assert!(matches!(refused, DbError::SnapshotDir { .. }), "{refused:?}");
    }
    assert!(!inside.exists());
}

#[test]
fn a_directory_is_read_beside_its_owner_and_nothing_of_it_changes() {
    let (root, dirs) = directory(2);
    let db = open_db(root.path());
    let before = count_all(&db);
    let tree = crate::vfs::sim::Tree::of(root.path()).unwrap();
    let reader = ReadOnlyDb::open(root.path(), &HeadOptions::default()).unwrap();
    assert_eq!(count(&reader.querier(TimeRange::ALL)), before);
    assert_eq!(crate::vfs::sim::Tree::of(root.path()).unwrap(), tree);
    assert_eq!(reader.blocks().len(), 2);
    // The owner goes on, and the reader keeps what it has.
    let all = parse_selector("{__name__=~\".+\"}").unwrap();
    db.delete(&all, TimeRange::ALL).unwrap();
    db.clean_tombstones().unwrap();
    assert!(!dirs[0].exists());
    assert_eq!(count(&reader.querier(TimeRange::ALL)), before);
    drop(Arc::new(reader));
}
