//! Merging twice the series takes no more allocations, but for vectors that double.
//!
//! A binary of its own, for the allocator counts for the whole process.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tsdb::compact::{CancelToken, CompactOptions, Compactor};
use tsdb::generate::{Encoding, GenerateOptions, generate};
use tsdb::vfs::{Io, OsVfs, Policy, Vfs};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract; `ptr` came from the system's allocator.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `realloc`'s contract; `ptr` came from the system's allocator.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests run one at a time: they share the counter.
static ALONE: Mutex<()> = Mutex::new(());

const SERIES: u64 = 6_000;
/// Every vector, window and table that doubles may do so once more, and a batch more may be under
/// way. That is less than one allocation for every twentieth series.
const MORE_MAX: u64 = 250;

fn vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

/// How many allocations merging blocks of `series` series takes.
fn allocations(series: u64, shape: &dyn Fn(&mut GenerateOptions), verify_output: bool) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let mut options = GenerateOptions::default();
    options.series = series;
    options.samples = 130;
    options.blocks = 2;
    shape(&mut options);
    let vfs = vfs(dir.path());
    let mut sources: Vec<PathBuf> = Vec::new();
    generate(&vfs, dir.path(), &options, &CancelToken::new(), |block| {
        sources.push(block.path.clone());
    })
    .unwrap();
    let mut options = CompactOptions::default();
    options.threads = 1;
    options.verify_output = verify_output;
    let compactor = Compactor::new(vfs, options);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let merged = compactor.merge(&sources, dir.path()).unwrap();
    let taken = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(merged.block.unwrap().meta.stats.num_series >= series);
    taken
}

fn assert_few(name: &str, shape: impl Fn(&mut GenerateOptions), verify_output: bool) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let [once, twice] =
        [SERIES, 2 * SERIES].map(|series| allocations(series, &shape, verify_output));
    eprintln!("{name}: {once} allocations for {SERIES} series, {twice} for twice as many");
    assert!(twice < once + MORE_MAX, "{name}: {once} allocations, then {twice}");
}

#[test]
fn chunks_that_pass_through() {
    assert_few("plain", |options| options.churn = 0.2, false);
}

#[test]
fn chunks_that_are_merged() {
    assert_few("replicas", |options| options.replicas = 2, false);
}

#[test]
fn histograms_and_tombstones() {
    let shape = |options: &mut GenerateOptions| {
        options.replicas = 2;
        options.histogram_share = 0.2;
        options.encodings = Encoding::ALL.to_vec();
        options.tombstone_share = 0.3;
    };
    assert_few("histograms", shape, false);
}

#[test]
fn output_that_is_read_back() {
    let shape = |options: &mut GenerateOptions| {
        options.replicas = 2;
        options.histogram_share = 0.2;
        options.tombstone_share = 0.1;
    };
    assert_few("verified", shape, true);
}
