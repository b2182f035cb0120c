//! Without a disk: what is loaded, kept, and counted.

use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

use super::blocks::{OVERHEAD_BYTES, weight_of};
use super::*;
use crate::error::{Errno, Operation};

const BLOCK: usize = 4096;

fn cache(budget_bytes: usize) -> ReadCache {
    ReadCache::new(ReadCacheOptions::new(budget_bytes).block_bytes(BLOCK))
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8)) as u8).collect()
}

/// The block of that number in `content`.
fn block(cache: &ReadCache, content: &[u8], number: u64) -> Arc<Block> {
    let start = (number as usize * BLOCK).min(content.len());
    cache.blocks.block(&content[start..(start + BLOCK).min(content.len())])
}

fn failure() -> Error {
    Error::Os {
        operation: Operation::Read,
        path: PathBuf::from("made up"),
        offset_bytes: 7,
        completed_bytes: 0,
        errno: Errno(5),
    }
}

#[test]
fn any_range_is_what_a_slice_gives_whether_cached_or_not() {
    let content = content(3 * BLOCK + 100);
    // With everything kept, with hardly anything, and with nothing.
    for budget in [1 << 20, 2 * (BLOCK + 16 + 256), 0] {
        let cache = cache(budget);
        for (offset, len) in [(0, 1), (4090, 20), (0, 12_388), (5000, 7000), (12_388, 0), (1, 9)] {
            let mut into = vec![0; len];
            let file = FileId::Fresh(1);
            let load = |number| Ok(block(&cache, &content, number));
            assert_eq!(cache.fill(file, offset as u64, &mut into, load), Ok(len));
            assert!(into == content[offset..offset + len], "{budget} {offset} {len}");
        }
        assert!(cache.stats().weight_bytes <= budget as u64);
    }
}

#[test]
fn hits_and_misses_are_counted_by_block() {
    let (cache, content) = (cache(1 << 20), content(8 * BLOCK));
    let load = |number| Ok(block(&cache, &content, number));
    let mut into = vec![0; 3 * BLOCK];
    cache.fill(FileId::Fresh(1), 0, &mut into, load).unwrap();
    assert_eq!((cache.stats().misses, cache.stats().hits), (3, 0));
    cache.fill(FileId::Fresh(1), BLOCK as u64, &mut into, load).unwrap();
    assert_eq!((cache.stats().misses, cache.stats().hits), (4, 2));
    assert_eq!(cache.stats().blocks, 4);
    assert_eq!(cache.stats().weight_bytes, 4 * (BLOCK as u64 + 16 + OVERHEAD_BYTES));
    cache.fill(FileId::Fresh(2), 0, &mut into, load).unwrap();
    assert_eq!(cache.stats().misses, 7, "another file's blocks are others");
    cache.clear();
    assert_eq!((cache.stats().blocks, cache.stats().weight_bytes), (0, 0));
}

/// Under pressure, from several threads, with a reader of the weight beside them.
#[test]
fn the_budget_is_never_exceeded() {
    let (rounds, blocks) = if cfg!(miri) { (20, 30) } else { (3000, 600) };
    for budget in [50_000, 200_001, 1 << 20] {
        let (cache, content) = (cache(budget), content(blocks * BLOCK));
        let most = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (cache, content, most) = (&cache, &content, &most);
                scope.spawn(move || {
                    let mut random = thread + 1;
                    for _ in 0..rounds {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let at = (random >> 33) % ((blocks as u64 - 1) * BLOCK as u64);
                        let mut into = [0; 100];
                        let load = |number| Ok(block(cache, content, number));
                        let got = cache.fill(FileId::Fresh(1), at, &mut into, load).unwrap();
                        assert_eq!(into[..got], content[at as usize..at as usize + got]);
                        most.fetch_max(cache.stats().weight_bytes, Ordering::Relaxed);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!(most <= budget as u64, "{most} of {budget}");
        assert!(cfg!(miri) || most > budget as u64 / 2, "{most} of {budget}: hardly used");
    }
}

#[test]
fn a_block_is_loaded_once_however_many_ask_for_it() {
    let (cache, content) = (cache(1 << 20), content(BLOCK));
    let (loads, start) = (AtomicUsize::new(0), Barrier::new(6));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                start.wait();
                let load = |number| {
                    loads.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(30));
                    Ok(block(&cache, &content, number))
                };
                let mut into = [0; 10];
                assert_eq!(cache.fill(FileId::Fresh(1), 5, &mut into, load), Ok(10));
                assert_eq!(into, content[5..15]);
            });
        }
    });
    assert_eq!(loads.into_inner(), 1);
    assert_eq!((cache.stats().misses, cache.stats().hits), (1, 5));
}

#[test]
fn a_failed_load_is_an_error_and_tried_again() {
    let (cache, content) = (cache(1 << 20), content(BLOCK));
    let mut into = [0; 10];
    let file = FileId::Fresh(1);
    assert_eq!(cache.fill(file, 0, &mut into, |_| Err(failure())), Err(failure()));
    assert_eq!(cache.stats().blocks, 0, "what failed is not kept");
    assert_eq!(
        cache.fill(file, 0, &mut into, |number| Ok(block(&cache, &content, number))),
        Ok(10)
    );
    assert_eq!(into, content[..10]);
}

#[test]
fn a_file_that_was_cut_off_is_short_not_endless() {
    let (cache, content) = (cache(1 << 20), content(BLOCK + 5));
    let mut into = vec![0; 3 * BLOCK];
    let load = |number| Ok(block(&cache, &content, number));
    assert_eq!(cache.fill(FileId::Fresh(1), 0, &mut into, load), Ok(BLOCK + 5));
    assert!(into[..BLOCK + 5] == content);
    assert_eq!(cache.fill(FileId::Fresh(1), 2 * BLOCK as u64, &mut into, load), Ok(0));
}

/// What is evicted is the next block's memory: as many slots as blocks that were there at a time.
#[test]
fn evicted_blocks_hand_their_memory_on() {
    let (rounds, blocks) = if cfg!(miri) { (2, 12) } else { (20, 300) };
    let budget = 6 * weight_of(BLOCK) as usize;
    let (cache, content) = (cache(budget), content(blocks * BLOCK));
    let load = |number| Ok(block(&cache, &content, number));
    for at in (0..rounds).flat_map(|_| 0..blocks) {
        cache.fill(FileId::Fresh(1), (at * BLOCK) as u64, &mut [0; 10], load).unwrap();
        let taken = cache.stats().blocks as usize + cache.blocks.idle_slots();
        assert!(taken <= 6 + 1, "{taken} slots for 6 blocks and the one that is read");
    }
    assert!(cache.stats().blocks > 3, "{:?}", cache.stats());
    let held = cache.blocks.block(&content[..5]);
    let taken = cache.stats().blocks as usize + cache.blocks.idle_slots();
    cache.clear();
    assert_eq!(cache.blocks.idle_slots(), taken, "for whatever comes next");
    assert_eq!(held.bytes(), &content[..5], "but for the one that a reader still holds");
    drop(held);
    assert_eq!(cache.blocks.idle_slots(), taken + 1);
}

/// The table has its full size from the start, evicted keys included, and never grows.
#[test]
#[cfg_attr(miri, ignore = "too many blocks for an interpreter")]
fn the_bookkeeping_is_what_it_is_counted_as() {
    const COUNTS_BYTES: u64 = 64;
    for blocks in [40, 1000, 20_000] {
        let cache = cache((blocks * weight_of(BLOCK)) as usize);
        for number in 0..4 * blocks {
            let load = |_| Ok(cache.blocks.block(b"x"));
            cache.fill(FileId::Fresh(1), number * BLOCK as u64, &mut [0], load).unwrap();
        }
        let kept = cache.stats().blocks;
        assert!(kept * 10 >= blocks * 9, "{kept} of {blocks}");
        let table_bytes = cache.blocks.table_bytes() as u64;
        assert!(
            table_bytes <= blocks * (OVERHEAD_BYTES - COUNTS_BYTES),
            "{table_bytes} bytes for {blocks} blocks"
        );
    }
}
