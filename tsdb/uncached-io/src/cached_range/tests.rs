//! On the real disk: what each way of reading leaves in the page cache.

#![expect(clippy::unwrap_used, reason = "the helpers below belong to tests")]

use std::path::PathBuf;

use rustix::fs::{Advice, fadvise};

use super::*;

const LEN: usize = 1 << 20;

fn pattern() -> Vec<u8> {
    (0..LEN).map(|at| (at ^ (at >> 9)).wrapping_mul(167) as u8).collect()
}

/// A synced file beside the test's own program, nothing of it cached; `None`, said loudly, where
/// the kernel can't tell.
fn cold_file() -> Option<(tempfile::TempDir, PathBuf, File)> {
    let program = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern()).unwrap();
    let file = File::open(&path).unwrap();
    file.sync_all().unwrap();
    advise(&file, 0, Advice::DontNeed);
    match sys::cachestat(&file, 0, 0) {
        Ok(pages) if pages.cached == 0 => Some((dir, path, file)),
        other => {
            eprintln!("SKIPPED: this filesystem or kernel can't be emptied or asked: {other:?}");
            None
        }
    }
}

fn advise(file: &File, offset: u64, advice: Advice) {
    fadvise(file, offset, None, advice).unwrap();
}

fn cached(file: &File) -> u64 {
    sys::cachestat(file, 0, 0).unwrap().cached
}

/// Brings exactly this into the cache.
fn warm(path: &Path, offset: u64, len: usize) {
    let file = File::open(path).unwrap();
    advise(&file, 0, Advice::Random);
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut vec![0; len], offset).unwrap();
}

/// Without `RWF_DONTCACHE`, as on btrfs and before Linux 6.14.
fn by_no_wait() -> CachedRange {
    let range = CachedRange::default();
    range.no_dont_cache.store(true, Ordering::Relaxed);
    range
}

#[test]
fn what_is_cached_as_a_whole_comes_from_the_cache() {
    let Some((_dir, path, file)) = cold_file() else { return };
    warm(&path, 4096, LEN / 2);
    let before = cached(&file);
    assert_eq!(before, (LEN / 2) as u64 / sys::page_bytes());
    for range in [CachedRange::default(), by_no_wait()] {
        assert!(range.covers(&file, 4097, LEN / 2 - 1));
        let mut into = vec![0; LEN / 2 - 1];
        assert!(range.read(&file, &path, 4097, &mut into));
        assert!(into == pattern()[4097..4096 + LEN / 2]);
        assert_eq!(cached(&file), before);
    }
}

#[test]
fn a_page_that_is_missing_is_seen_wherever_it_is() {
    let Some((_dir, path, file)) = cold_file() else { return };
    warm(&path, 65_536, 65_536);
    let range = CachedRange::default();
    assert!(range.covers(&file, 65_536, 65_536));
    assert!(!range.covers(&file, 65_535, 65_537), "the page before");
    assert!(!range.covers(&file, 65_536, 65_537), "the page after");
    assert!(!range.covers(&file, 0, 1), "another page");
    assert_eq!(cached(&file), 65_536 / sys::page_bytes(), "asking reads nothing in");
}

/// All was evicted between the question and the read: the lost race, made certain.
#[test]
fn what_was_evicted_meanwhile_is_not_pulled_in_again() {
    let Some((_dir, path, file)) = cold_file() else { return };
    let range = CachedRange::default();
    let mut into = vec![0; LEN];
    let read = range.read(&file, &path, 0, &mut into);
    if range.no_dont_cache.load(Ordering::Relaxed) {
        eprintln!("SKIPPED: no RWF_DONTCACHE here");
    } else {
        assert!(read && into == pattern(), "it is read all the same");
    }
    settled_at(&file, 0);
    // In part: the pages that were there stay, and only they.
    warm(&path, 0, LEN / 2);
    let read = range.read(&file, &path, 0, &mut into);
    assert!(!read || into == pattern());
    settled_at(&file, (LEN / 2) as u64 / sys::page_bytes());
}

#[test]
fn without_dont_cache_a_miss_is_left_to_the_direct_read() {
    let Some((_dir, path, file)) = cold_file() else { return };
    let range = by_no_wait();
    let mut into = vec![0; LEN];
    assert!(!range.read(&file, &path, 0, &mut into));
    settled_at(&file, 0);
    // The first pieces are there, a later one is not.
    warm(&path, 0, 3 * NO_WAIT_PIECE_BYTES);
    assert!(!range.read(&file, &path, 0, &mut into));
    settled_at(&file, (3 * NO_WAIT_PIECE_BYTES) as u64 / sys::page_bytes());
}

/// Why the file is asked about first: the kernel starts reading what it then says would block.
#[test]
fn no_wait_alone_would_pull_pages_in() {
    let Some((_dir, path, file)) = cold_file() else { return };
    let buffered = open_same(&file, &path).unwrap();
    match read_fully(&buffered, &mut vec![0; LEN], 0, CachedRead::NoWait) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        other => return eprintln!("SKIPPED: no RWF_NOWAIT here: {other:?}"),
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    // Informative: a kernel that has mended this makes the pieces unnecessary, not wrong.
    eprintln!("RWF_NOWAIT of 1 MiB pulled in {} pages", cached(&file));
}

#[test]
fn another_file_under_the_same_name_is_not_read() {
    let Some((_dir, path, file)) = cold_file() else { return };
    warm(&path, 0, LEN);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![0; LEN]).unwrap();
    let range = CachedRange::default();
    assert!(range.covers(&file, 0, LEN));
    assert!(!range.read(&file, &path, 0, &mut vec![0; LEN]));
    assert!(!range.covers(&file, 0, LEN), "and not asked about again");
}

/// Counts again for a while: read-ahead that was started may still arrive.
fn settled_at(file: &File, pages: u64) {
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(cached(file), pages);
}
