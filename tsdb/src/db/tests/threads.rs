//! What runs beside each other: flush, compaction, deletion, queries, and appends that wait.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tsdb_format::labels::Labels;
use tsdb_format::meta::parse_block_id;

use super::world::{RANGE_MS, os_vfs};
use crate::db::{Db, DbError, DbOptions, Opening, Retention};
use crate::head::{HeadOptions, Sample};
use crate::query::{Matcher, Samples, TimeRange};
use crate::vfs::{CreateOptions, Ownership, Vfs, VfsError, VfsFile, VfsLog, VfsRead};

const LONG: Duration = Duration::from_secs(60);

/// A filesystem on which reads of blocks, or new blocks, can be made to wait.
struct StallingVfs {
    inner: Arc<dyn Vfs>,
    stalls: Arc<Stalls>,
}

#[derive(Default)]
struct Stalls {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    block_reads: bool,
    new_blocks: bool,
    /// How many wait.
    waiting: usize,
}

impl Stalls {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn pass(&self, stalls: impl Fn(&State) -> bool) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        while stalls(&state) {
            state = self.changed.wait(state).unwrap();
        }
        state.waiting -= 1;
    }

    fn wait_for_somebody_waiting(&self) {
        let state = self.state.lock().unwrap();
        let outcome = self.changed.wait_timeout_while(state, LONG, |state| state.waiting == 0);
        assert!(!outcome.unwrap().1.timed_out());
    }
}

/// Whether the path is below a block's directory, published or growing.
fn is_of_block(path: &Path, growing: bool) -> bool {
    path.components().any(|part| {
        let name = part.as_os_str().to_str().unwrap_or_default();
        if growing { name.starts_with("tsdb-compact-") } else { parse_block_id(name).is_ok() }
    })
}

impl Vfs for StallingVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        if is_of_block(path, true) {
            self.stalls.pass(|state| state.new_blocks);
        }
        self.inner.create(path, options)
    }

    fn create_log(&self, path: &Path) -> Result<Arc<dyn VfsLog>, VfsError> {
        self.inner.create_log(path)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        if is_of_block(path, false) {
            self.stalls.pass(|state| state.block_reads);
        }
        self.inner.open(path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.rename(from, to)
    }

    fn sync_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.remove_dir(path)
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        self.inner.set_ownership(path, ownership)
    }
}

fn options() -> DbOptions {
    let mut options = DbOptions::default()
        .block_durations_ms(RANGE_MS, Some(3 * RANGE_MS))
        .retention(Retention::unlimited())
        .head(HeadOptions::default());
    options.compact.threads = 1;
    options
}

fn open(dir: &Path, options: DbOptions) -> (Db, Arc<Stalls>) {
    let stalls = Arc::new(Stalls::default());
    let vfs = StallingVfs { inner: os_vfs(dir), stalls: Arc::clone(&stalls) };
    let db = Db::open_with(Arc::new(vfs), dir, options, &Opening::default()).unwrap();
    (db, stalls)
}

fn labels() -> Labels {
    [("__name__", "up")].into_iter().collect()
}

/// A sample every 100 ms between the times.
fn append(db: &Db, from: i64, to: i64) -> Result<(), DbError> {
    for t in (from..to).step_by(100) {
        let mut appender = db.appender()?;
        appender.append(None, &labels(), Sample::float(t, t as f64)).unwrap();
        appender.commit().unwrap();
    }
    Ok(())
}

fn times(db: &Db) -> Vec<i64> {
    let querier = db.querier(TimeRange::ALL).unwrap();
    let mut set = querier.select(&[Matcher::equal("__name__", "up")]).unwrap();
    let (mut samples, mut times) = (Samples::new(), Vec::new());
    while let Some(series) = set.next().unwrap() {
        series.samples(&mut samples);
        while samples.next().unwrap().is_some() {
            times.push(samples.timestamp());
        }
    }
    times
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !reached() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_commit_wakes_the_flush_and_a_flush_the_compaction() {
    let root = tempfile::tempdir().unwrap();
    let (db, _) = open(root.path(), options());
    append(&db, 0, 12 * RANGE_MS).unwrap();
    until("blocks of three ranges are made", || {
        db.blocks().iter().any(|block| block.meta().compaction.level == 2)
    });
    assert_eq!(times(&db), (0..12 * RANGE_MS).step_by(100).collect::<Vec<_>>());
    db.close().unwrap();
    let (db, _) = open(root.path(), options().background(false));
    assert_eq!(times(&db), (0..12 * RANGE_MS).step_by(100).collect::<Vec<_>>());
}

#[test]
fn neither_a_flush_nor_a_deletion_waits_for_a_compaction() {
    let root = tempfile::tempdir().unwrap();
    let (db, stalls) = open(root.path(), options().background(false));
    append(&db, 0, 6 * RANGE_MS).unwrap();
    db.flush().unwrap();
    stalls.set(|state| state.block_reads = true);
    thread::scope(|scope| {
        let compaction = scope.spawn(|| db.compact());
        stalls.wait_for_somebody_waiting();
        append(&db, 6 * RANGE_MS, 8 * RANGE_MS).unwrap();
        assert_eq!(db.flush().unwrap().blocks.len(), 2);
        let all = [Matcher::equal("__name__", "up")];
        assert!(db.delete(&all, TimeRange::new(150, 250)).unwrap().blocks > 0);
        assert!(!times(&db).contains(&200));
        db.reload().unwrap();
        assert!(!compaction.is_finished());
        stalls.set(|state| state.block_reads = false);
        // Its source was changed: the plan was made anew, and the deleted sample does not come back.
        let compacted = compaction.join().unwrap().unwrap();
        assert!(compacted.failed.is_empty(), "{:?}", compacted.failed);
        assert!(!compacted.blocks.is_empty());
    });
    let left: Vec<i64> = (0..8 * RANGE_MS).step_by(100).filter(|t| *t != 200).collect();
    assert_eq!(times(&db), left);
    let stones: u64 = db.blocks().iter().map(|block| block.meta().stats.num_tombstones).sum();
    assert_eq!(stones, 0, "the compaction applied them");
}

#[test]
fn a_compaction_whose_sources_retention_deletes_is_planned_anew() {
    let root = tempfile::tempdir().unwrap();
    let retention = Retention::unlimited().time_ms(8 * RANGE_MS);
    let (db, stalls) = open(root.path(), options().background(false).retention(retention));
    append(&db, 0, 6 * RANGE_MS).unwrap();
    db.flush().unwrap();
    let before: Vec<_> = db.blocks().iter().map(|block| block.dir().to_owned()).collect();
    stalls.set(|state| state.block_reads = true);
    thread::scope(|scope| {
        let compaction = scope.spawn(|| db.compact());
        stalls.wait_for_somebody_waiting();
        append(&db, 6 * RANGE_MS, 14 * RANGE_MS).unwrap();
        db.flush().unwrap();
        assert!(before.iter().any(|dir| !dir.exists()), "{before:?}");
        stalls.set(|state| state.block_reads = false);
        let compacted = compaction.join().unwrap().unwrap();
        assert!(compacted.failed.is_empty(), "{:?}", compacted.failed);
        assert!(!compacted.blocks.is_empty());
    });
    let left = times(&db);
    assert_eq!(left.last(), Some(&(14 * RANGE_MS - 100)));
    assert_eq!(left, (left[0]..14 * RANGE_MS).step_by(100).collect::<Vec<_>>());
    let metrics = super::metrics::told(&db);
    assert!(metrics.contains("prometheus_tsdb_compactions_failed_total 0"), "{metrics}");
}

#[test]
fn a_compaction_waits_while_a_flush_is_under_way() {
    let root = tempfile::tempdir().unwrap();
    let (db, stalls) = open(root.path(), options().background(false));
    append(&db, 0, 6 * RANGE_MS).unwrap();
    db.flush().unwrap();
    append(&db, 6 * RANGE_MS, 8 * RANGE_MS).unwrap();
    stalls.set(|state| state.new_blocks = true);
    thread::scope(|scope| {
        let flush = scope.spawn(|| db.flush());
        stalls.wait_for_somebody_waiting();
        let compaction = scope.spawn(|| db.compact());
        // It may begin its temporary block, and stalls there or at the gate: nothing is published.
        thread::sleep(Duration::from_millis(50));
        assert!(!compaction.is_finished() && !flush.is_finished());
        stalls.set(|state| state.new_blocks = false);
        assert_eq!(flush.join().unwrap().unwrap().blocks.len(), 2);
        compaction.join().unwrap().unwrap();
    });
    assert_eq!(times(&db), (0..8 * RANGE_MS).step_by(100).collect::<Vec<_>>());
}

#[test]
fn appends_wait_for_the_flush_and_are_refused_when_it_does_not_come() {
    let root = tempfile::tempdir().unwrap();
    let slow = options().backlog(4, Duration::from_millis(200));
    let (db, stalls) = open(root.path(), slow);
    stalls.set(|state| state.new_blocks = true);
    let refused = append(&db, 0, 20 * RANGE_MS).unwrap_err();
    let DbError::Backlog { span_ms, span_ms_max, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(span_ms_max, 4 * RANGE_MS);
    assert!((span_ms_max..span_ms_max + 200).contains(&span_ms), "{span_ms}");
    // Whoever switches the flush off is not kept waiting for it.
    db.set_auto_compaction(false);
    drop(db.appender().unwrap());
    db.set_auto_compaction(true);

    stalls.set(|state| state.new_blocks = false);
    let next = db.head().max_time() + 100;
    for t in (next..next + 20 * RANGE_MS).step_by(RANGE_MS as usize) {
        // However long the machine takes for one flush: that it comes is what counts.
        until("there is room again", || db.appender().is_ok());
        append(&db, t, t + RANGE_MS).unwrap_or_else(|error| {
            assert!(matches!(error, DbError::Backlog { .. }), "{error:?}");
        });
    }
    assert!(db.head().max_time() - db.head().min_time() <= 4 * RANGE_MS + 200);
    db.close().unwrap();
}

#[test]
fn queries_run_while_everything_else_does_and_never_miss_a_sample() {
    let root = tempfile::tempdir().unwrap();
    let (db, _) = open(root.path(), options());
    let end = 40 * RANGE_MS;
    thread::scope(|scope| {
        let appends = scope.spawn(|| append(&db, 0, end).unwrap());
        let mut last = 0;
        while !appends.is_finished() {
            let found = times(&db);
            let expected: Vec<i64> = (0..found.len() as i64).map(|n| n * 100).collect();
            assert_eq!(found, expected, "a sample is missing, or there twice");
            assert!(found.len() >= last, "{} samples, and {last} before", found.len());
            last = found.len();
        }
    });
    assert_eq!(times(&db).len() as i64, end / 100);
    assert!(!db.blocks().is_empty());
}

/// Of the threads of this process, by name: how nice they are.
#[cfg(target_os = "linux")]
fn niceness(name: &str) -> Vec<i32> {
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let named = tasks.filter(|task| read(task.join("comm")).trim_end() == name);
    let nice = |stat: String| {
        let behind_name = stat.rsplit_once(')')?.1.to_owned();
        behind_name.split_whitespace().nth(16)?.parse().ok()
    };
    named.filter_map(|task| nice(read(task.join("stat")))).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn commits_have_the_processors_first() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), DbOptions::default()).unwrap();
    let until = Instant::now() + LONG;
    let are_nice = || {
        let (flush, compact) = (niceness("tsdb-flush"), niceness("tsdb-compact"));
        let reload = niceness("tsdb-reload");
        reload.iter().any(|base| {
            flush.contains(&(base + 5).min(19)) && compact.contains(&(base + 10).min(19))
        })
    };
    while !are_nice() {
        assert!(Instant::now() < until, "{:?}", niceness("tsdb-flush"));
        thread::sleep(Duration::from_millis(10));
    }
    db.close().unwrap();
}
