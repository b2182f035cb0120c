//! Memory stays within the budget when one series, and what is deleted of it, are several times as
//! large; and the bytes are those that a merge with all the memory in the world gives.
//!
//! A binary of its own, for the allocator counts for the whole process.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tsdb::compact::{CancelToken, CompactOptions, Compactor, MEMORY_BUDGET_BYTES_MIN, Merged};
use tsdb::generate::{Encoding, GenerateOptions, generate};
use tsdb::vfs::{Io, OsVfs, Policy, Vfs};
use tsdb_format::checksum::crc32c;
use tsdb_format::tombstones::Tombstones;
use tsdb_format::varint::{put_uvarint, put_varint};

struct Peak;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

fn shrink(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: the caller keeps `dealloc`'s contract; `ptr` came from the system's allocator.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The old and the new one may be there at once.
        grow(new_size);
        shrink(layout.size());
        // SAFETY: the caller keeps `realloc`'s contract; `ptr` came from the system's allocator.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Peak = Peak;

/// Samples of the series in each of two replicas, a second apart.
const SAMPLES: u32 = 1_500_000;
/// Deleted intervals in each of them.
const STONES: u64 = 2_500_000;
/// What stands beside the budget: queues, paths, errors, the runtime's own.
const BESIDE_BYTES: usize = 1 << 20;

fn os_vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

/// One series in two blocks that overlap all the way.
fn replicas(dir: &Path) -> Vec<PathBuf> {
    let mut options = GenerateOptions::default();
    options.series = 1;
    options.samples = SAMPLES;
    options.interval_ms = 1000;
    options.replicas = 2;
    // Floats of the generator take half a byte each.
    options.histogram_share = 1.0;
    options.encodings = vec![Encoding::Xor, Encoding::FloatHistogram];
    let mut sources = Vec::new();
    generate(&os_vfs(dir), dir, &options, &CancelToken::new(), |block| {
        sources.push(block.path.clone());
    })
    .unwrap();
    sources
}

/// Deletes some samples of the series, and a lot that isn't there; in no order.
fn delete(block: &Path, start_ms: i64) {
    let index = fs::read(block.join("index")).unwrap();
    let toc = &index[index.len() - 52..];
    let series_start = u64::from_be_bytes(toc[8..16].try_into().unwrap());
    let series_ref = series_start.div_ceil(16);
    let mut file = Tombstones::default().encode()[..5].to_vec();
    for number in 0..STONES {
        // A permutation, for the factor and the number of stones have no divisor in common.
        let number = number * 1_000_003 % STONES;
        // Every third one is of a series that the block does not have.
        let other = if number.is_multiple_of(3) { 1 + number } else { 0 };
        put_uvarint(&mut file, series_ref + other);
        let at = start_ms + number as i64 * 601;
        put_varint(&mut file, at);
        put_varint(&mut file, at + (number % 7) as i64 * 100);
    }
    let crc = crc32c(&file[5..]);
    file.extend_from_slice(&crc.to_be_bytes());
    assert!(file.len() as u64 > 3 * MEMORY_BUDGET_BYTES_MIN, "{} bytes", file.len());
    fs::write(block.join("tombstones"), file).unwrap();
}

fn bytes(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Merges and reads the output back; how much memory that took.
fn merge(sources: &[PathBuf], dest: &Path, memory_budget_bytes: u64) -> (Merged, usize) {
    fs::create_dir(dest).unwrap();
    let mut options = CompactOptions::default();
    options.memory_budget_bytes = memory_budget_bytes;
    options.threads = 2;
    options.verify_output = true;
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let merged = Compactor::new(os_vfs(dest), options).merge(sources, dest).unwrap();
    (merged, PEAK.load(Ordering::Relaxed) - before)
}

#[test]
fn one_series_and_its_tombstones_larger_than_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let sources = replicas(dir.path());
    let start_ms = GenerateOptions::default().start_ms;
    sources.iter().for_each(|block| delete(block, start_ms));
    let series_bytes: u64 = sources.iter().map(|block| bytes(&block.join("chunks"))).sum();
    assert!(series_bytes > 4 * MEMORY_BUDGET_BYTES_MIN, "{series_bytes} bytes");

    let [small, large] = ["small", "large"].map(|name| dir.path().join(name));
    let (tight, peak) = merge(&sources, &small, MEMORY_BUDGET_BYTES_MIN);
    eprintln!("{series_bytes} bytes of one series, peak {} KiB", peak / 1024);
    let (free, free_peak) = merge(&sources, &large, 8 << 30);
    eprintln!("all in memory: peak {} KiB", free_peak / 1024);
    assert_eq!(tight.ledger, free.ledger);
    assert!(tight.ledger.tombstoned > 1000 && tight.ledger.balances(), "{:?}", tight.ledger);
    let [tight, free] = [tight, free].map(|merged| merged.block.unwrap().path().to_owned());
    for file in ["index", "chunks/000001"] {
        assert!(
            fs::read(tight.join(file)).unwrap() == fs::read(free.join(file)).unwrap(),
            "{file}"
        );
    }
    assert!(peak < MEMORY_BUDGET_BYTES_MIN as usize + BESIDE_BYTES, "{} KiB", peak / 1024);
    assert!(free_peak as u64 > series_bytes, "the other merge was to have it all in memory");
}
