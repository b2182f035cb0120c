//! The read cache over real files.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uncached_io::{AlignedBuf, Policy, ReadCache, ReadCacheOptions};

use crate::{cached, cold_file, direct_io, disk_dir, pattern, strictly_direct};

const LEN: usize = (1 << 20) + 777;

fn cache() -> ReadCache {
    ReadCache::new(ReadCacheOptions::new(4 << 20))
}

#[test]
fn what_was_read_once_needs_no_disk_and_no_page_cache() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    let (cache, io) = (cache(), strictly_direct(Policy::Required));
    let reader = io.open(&path).unwrap();
    let mut buf = AlignedBuf::new();
    for round in 0..3 {
        for at in [0, 5000, 500_000, LEN - 300] {
            let got = cache.read_at(&reader, at as u64, 3000, &mut buf).unwrap();
            assert!(got == &pattern(LEN)[at..(at + 3000).min(LEN)], "{round} {at}");
        }
        assert_eq!(io.stats().reads, 3, "0 and 5000 are in one block");
    }
    assert_eq!((cache.stats().misses, cache.stats().hits), (3, 9));
    let Some(pages) = cached(&path) else { return };
    assert_eq!(pages.cached, 0);
}

#[test]
fn the_ends_of_a_file_are_those_of_a_reader() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    for len in [0, 1, 16 << 10, (16 << 10) + 1] {
        std::fs::write(&path, pattern(len)).unwrap();
        let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
        let (cache, mut buf, mut plain) = (cache(), AlignedBuf::new(), AlignedBuf::new());
        for offset in [0, 1, len as u64, len as u64 + 1, u64::MAX] {
            for wanted in [0, 1, 20_000, usize::MAX] {
                let expected = reader.read_at(offset, wanted, &mut plain).unwrap();
                assert!(cache.read_at(&reader, offset, wanted, &mut buf).unwrap() == expected);
            }
        }
    }
}

#[test]
fn long_reads_go_past_it() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(LEN)).unwrap();
    let (cache, mut buf) = (cache(), AlignedBuf::new());
    let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
    assert!(cache.read_at(&reader, 7, 500_000, &mut buf).unwrap() == &pattern(LEN)[7..500_007]);
    let stats = cache.stats();
    assert_eq!((stats.bypassed, stats.blocks, stats.misses), (1, 0, 0));
}

/// The same name, and most likely the same inode, length and tick of the clock: never old bytes.
#[test]
fn a_file_that_was_rewritten_or_replaced_is_read_anew() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    let (cache, mut buf) = (cache(), AlignedBuf::new());
    for round in 0..100_u8 {
        if round % 2 == 0 {
            std::fs::write(&path, vec![round; 5000]).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, vec![round; 5000]).unwrap();
        }
        let reader = strictly_direct(Policy::Prefer).open(&path).unwrap();
        let got = cache.read_at(&reader, 10, 100, &mut buf).unwrap();
        assert!(got == [round; 100], "{} in round {round}", got[0]);
    }
}

#[test]
fn a_file_at_rest_is_found_again_when_it_is_opened_again() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(5000)).unwrap();
    let (cache, io, mut buf) = (cache(), strictly_direct(Policy::Prefer), AlignedBuf::new());
    std::thread::sleep(std::time::Duration::from_millis(3100));
    for _ in 0..3 {
        let reader = io.open(&path).unwrap();
        assert!(cache.read_at(&reader, 0, 5000, &mut buf).unwrap() == pattern(5000));
    }
    assert_eq!((cache.stats().misses, cache.stats().hits), (1, 2));
    // Rewritten at the same length, it is another one.
    std::fs::write(&path, vec![9; 5000]).unwrap();
    let reader = io.open(&path).unwrap();
    assert!(cache.read_at(&reader, 0, 5000, &mut buf).unwrap() == [9; 5000]);
}

const CHILD: &str = "UNCACHED_IO_CACHE_CHILD";
const BUDGET_BYTES: usize = 24 << 20;
/// Beside the budget: its three parts in a hundred, and what four threads take of an allocator that
/// gives each a heap of its own.
const GROWTH_BYTES_MAX: u64 = (BUDGET_BYTES + BUDGET_BYTES / 33 + (1 << 20)) as u64;

/// Each in a process of its own, by what the kernel says of its memory: filled, evicted from many
/// times by four threads, cleared, and filled again.
#[test]
fn a_process_grows_by_the_budget_and_no_more() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    // Without blocks of its own: it reads as zeros, and as fast as can be.
    std::fs::File::create(&path).unwrap().set_len(8 * BUDGET_BYTES as u64 + 100).unwrap();
    for block_bytes in [4096, 16 << 10, 128 << 10] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "read_cache::child_fills_a_cache", "--ignored", "--nocapture"])
            .env(CHILD, format!("{block_bytes} {}", path.display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let figure = |name: &str| -> u64 {
            let line = said.lines().find_map(|line| line.split_once(name)).unwrap();
            line.1.split(' ').next().unwrap().parse().unwrap()
        };
        let (grown, kept) = (figure("grown="), figure("kept="));
        eprintln!("blocks of {block_bytes}: {grown} bytes for a budget of {BUDGET_BYTES}");
        assert!(grown <= GROWTH_BYTES_MAX, "blocks of {block_bytes}: {grown}");
        // Nor is it met by keeping little.
        assert!(kept * 10 >= BUDGET_BYTES as u64 * 9, "blocks of {block_bytes}: {kept} kept");
    }
}

#[test]
#[ignore = "run by a_process_grows_by_the_budget_and_no_more"]
fn child_fills_a_cache() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (block_bytes, path) = task.split_once(' ').unwrap();
    let block_bytes: usize = block_bytes.parse().unwrap();
    // Whatever the first reads take once is taken before.
    churn(&ReadCache::new(ReadCacheOptions::new(1 << 20)), Path::new(path), 4096, 50);
    let before = resident_bytes();
    let cache = ReadCache::new(
        ReadCacheOptions::new(BUDGET_BYTES).block_bytes(block_bytes).bypass_bytes(usize::MAX),
    );
    let reads = 6 * BUDGET_BYTES / block_bytes;
    let mut most = churn(&cache, Path::new(path), block_bytes, reads);
    cache.clear();
    most = most.max(churn(&cache, Path::new(path), block_bytes, reads));
    let kept = cache.stats().weight_bytes;
    println!("grown={} kept={kept} ", most.saturating_sub(before));
}

/// Four threads read at random; the most memory that the process was seen to have.
fn churn(cache: &ReadCache, path: &Path, block_bytes: usize, reads: usize) -> u64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(resident_bytes());
                std::thread::sleep(Duration::from_millis(2));
            }
            most
        });
        let readers = (1..=4_u64).map(|seed| {
            scope.spawn(move || {
                let reader = strictly_direct(Policy::Prefer).open(path).unwrap();
                let (mut buf, mut random) = (AlignedBuf::new(), seed);
                let blocks = reader.len() / block_bytes as u64;
                for _ in 0..reads / 4 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
                    let at = (random >> 33) % blocks * block_bytes as u64;
                    let got = cache.read_at(&reader, at, 100, &mut buf).unwrap();
                    assert_eq!(got, [0; 100]);
                }
            })
        });
        readers.collect::<Vec<_>>().into_iter().for_each(|reader| reader.join().unwrap());
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap().max(resident_bytes())
    })
}

/// Memory of this process that is there, as its pages are counted.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
