//! Merging twice the series takes no more allocations, but for vectors that double; and so does
//! merging series of more samples.
//!
//! A binary of its own, for the allocator counts for the whole process.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tsdb::compact::{CancelToken, CompactOptions, Compactor, Ledger};
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

const SERIES: u64 = 4_000;
/// Doubling the series may let every vector, window and table of every worker double once more, and
/// have a batch more under way: one allocation for thirteen series, while the first batches fill.
const MORE_MAX: u64 = 300;
/// The second doubling adds twice as many series as the first, and less than one allocation for
/// sixty of them: what grows with the series would take more, however slowly it does.
const EVEN_MORE_MAX: u64 = 130;

fn vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

/// How many allocations merging blocks of such a shape takes, and where the samples went.
fn allocations(shape: &dyn Fn(&mut GenerateOptions), verify_output: bool) -> (u64, Ledger) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = GenerateOptions::default();
    options.samples = 130;
    options.blocks = 2;
    shape(&mut options);
    let vfs = vfs(dir.path());
    let mut sources: Vec<PathBuf> = Vec::new();
    generate(&vfs, dir.path(), &options, &CancelToken::new(), |block| {
        sources.push(block.path.clone());
    })
    .unwrap();
    let series = options.series;
    let mut options = CompactOptions::default();
    options.threads = 1;
    options.verify_output = verify_output;
    let compactor = Compactor::new(vfs, options);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let merged = compactor.merge(&sources, dir.path()).unwrap();
    let taken = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // Some are deleted whole.
    assert!(merged.block.unwrap().meta.stats.num_series >= series / 2);
    (taken, merged.ledger)
}

/// Neither the first doubling of the series nor the second one takes more than it may; and there is
/// at least one sample a series of what `counts` counts: the test tries out what it says.
fn assert_few(
    name: &str,
    shape: impl Fn(&mut GenerateOptions),
    verify_output: bool,
    counts: impl Fn(&Ledger) -> u64,
) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = [SERIES, 2 * SERIES, 4 * SERIES].map(|series| {
        let shape = |options: &mut GenerateOptions| {
            options.series = series;
            shape(options);
        };
        let (taken, ledger) = allocations(&shape, verify_output);
        assert!(counts(&ledger) >= series, "{name}: {ledger:?} of {series} series");
        taken
    });
    eprintln!("{name}: {taken:?} allocations for {SERIES} series, twice and four times as many");
    assert!(taken[1] < taken[0] + MORE_MAX, "{name}: {taken:?}");
    assert!(taken[2] < taken[1] + EVEN_MORE_MAX, "{name}: {taken:?}");
}

fn superseded(ledger: &Ledger) -> u64 {
    ledger.superseded_equal + ledger.superseded_conflicting
}

#[test]
fn chunks_that_pass_through() {
    let plain = |ledger: &Ledger| if ledger.left_out() == 0 { ledger.samples_out } else { 0 };
    assert_few("plain", |options| options.churn = 0.2, false, plain);
}

#[test]
fn chunks_that_are_merged() {
    assert_few("replicas", |options| options.replicas = 2, false, superseded);
}

#[test]
fn chunks_of_which_something_is_deleted() {
    let shape = |options: &mut GenerateOptions| options.tombstone_share = 0.5;
    assert_few("tombstones", shape, false, |ledger| ledger.tombstoned);
}

#[test]
fn histograms_and_tombstones() {
    let shape = |options: &mut GenerateOptions| {
        options.replicas = 2;
        options.histogram_share = 0.2;
        options.encodings = Encoding::ALL.to_vec();
        options.tombstone_share = 0.3;
    };
    let both = |ledger: &Ledger| superseded(ledger).min(ledger.tombstoned);
    assert_few("histograms", shape, false, both);
}

#[test]
fn output_that_is_read_back() {
    let shape = |options: &mut GenerateOptions| {
        options.replicas = 2;
        options.histogram_share = 0.2;
        options.tombstone_share = 0.1;
    };
    assert_few("verified", shape, true, superseded);
}

/// As many series, with eight times the samples and the chunks.
#[test]
fn series_that_are_longer() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, replicas, tombstone_share) in
        [("plain", 1, 0.0), ("replicas", 2, 0.0), ("tombstones", 1, 0.5)]
    {
        let [short, long] = [130, 8 * 130].map(|samples| {
            let shape = |options: &mut GenerateOptions| {
                (options.series, options.samples) = (1_000, samples);
                (options.replicas, options.tombstone_share) = (replicas, tombstone_share);
            };
            allocations(&shape, false).0
        });
        eprintln!("{name}: {short} allocations, {long} for eight times the samples");
        assert!(long < short + 2 * MORE_MAX, "{name}: {short} allocations, then {long}");
    }
}
