//! What a direct reader takes from the page cache, and what it leaves there.

use std::os::unix::fs::FileExt;

use uncached_io::{AlignedBuf, Io, IoOptions, Policy, drop_cached, page_bytes};

use crate::{cached, cold_file, direct_io, disk_dir, pattern, strictly_direct, warm};

const LEN: usize = (1 << 20) + 777;

/// As by default, but also with the cargo feature `forcedirectio`.
fn asking(policy: Policy) -> Io {
    Io::for_reading_with(policy, IoOptions::default().read_from_page_cache(true))
}

#[test]
fn a_range_that_is_cached_comes_from_the_cache_and_any_other_from_the_disk() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    warm(&path, 0, 256 << 10);
    let Some(before) = cached(&path) else { return };
    assert_eq!(before.cached, (256 << 10) / page_bytes());

    let io = asking(Policy::Required);
    let reader = io.open(&path).unwrap();
    let mut buf = AlignedBuf::new();
    assert!(reader.read_at(1000, 200_000, &mut buf).unwrap() == &pattern(LEN)[1000..201_000]);
    let stats = io.stats();
    assert_eq!((stats.read_from_cache_bytes, stats.read_direct_bytes), (200_000, 0));

    let across = 200_000..300_000; // cached in part
    let bytes = reader.read_at(across.start as u64, across.len(), &mut buf).unwrap();
    assert!(bytes == &pattern(LEN)[across.clone()]);
    let stats = io.stats();
    assert_eq!(stats.read_from_cache_bytes, 200_000);
    assert!(stats.read_direct_bytes >= across.len() as u64);

    // The last page, which the file does not fill.
    warm(&path, LEN as u64 - 10, 10);
    assert!(
        reader.read_at(LEN as u64 - 700, 9999, &mut buf).unwrap() == &pattern(LEN)[LEN - 700..]
    );
    assert_eq!(io.stats().read_from_cache_bytes, 200_700);
    assert_eq!(io.stats().read_buffered_bytes, 0);
    assert_eq!(cached(&path).unwrap().cached, before.cached + 1, "nothing was pulled in");
}

#[test]
fn switched_off_it_reads_directly_what_is_cached_too() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    warm(&path, 0, LEN);
    let Some(before) = cached(&path) else { return };
    let io = strictly_direct(Policy::Required);
    let mut buf = AlignedBuf::new();
    let reader = io.open(&path).unwrap();
    assert!(reader.read_at(0, LEN, &mut buf).unwrap() == pattern(LEN));
    assert_eq!(io.stats().read_from_cache_bytes, 0);
    assert!(io.stats().read_direct_bytes >= LEN as u64);
    assert_eq!(cached(&path).unwrap().cached, before.cached);
}

/// Hot pages of a neighbour: mapped, and looked at all the time.
#[test]
fn mapped_pages_of_others_stay_whichever_way_it_reads() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    let file = std::fs::File::open(&path).unwrap();
    #[expect(unsafe_code, reason = "there is no safe way to map a file")]
    // SAFETY: the file is this test's own, and nobody writes to it or cuts it off.
    let map = unsafe { memmap2::MmapOptions::new().len(512 << 10).map(&file) }.unwrap();
    map.advise(memmap2::Advice::Random).unwrap();
    let look = || map.iter().step_by(4096).map(|&byte| u64::from(byte)).sum::<u64>();
    let seen = look();
    let Some(before) = cached(&path) else { return };
    assert!(before.cached >= (512 << 10) / page_bytes());
    for io in [strictly_direct(Policy::Required), asking(Policy::Required)] {
        let reader = io.open(&path).unwrap();
        let mut buf = AlignedBuf::new();
        for (offset, len) in [(0, LEN), (0, 512 << 10), (3, 1), (500_000, 50_000)] {
            let got = reader.read_at(offset, len, &mut buf).unwrap();
            assert!(got == &pattern(LEN)[offset as usize..offset as usize + got.len()]);
        }
        drop(reader);
        assert_eq!(cached(&path).unwrap().cached, before.cached);
    }
    assert_eq!(look(), seen);
}

/// What somebody has written and not synced: read as it is, flushed where a direct read meets
/// it, and cached as before.
#[test]
fn dirty_pages_of_others_are_read_flushed_and_kept() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let write = |at: u64| file.write_all_at(b"dirty", at).unwrap();
    write(100);
    write(900_000);
    let Some(before) = cached(&path) else { return };
    if before.dirty != 2 {
        // The kernel's flusher may come any time, though seldom within this millisecond.
        return eprintln!("SKIPPED: written back already: {before:?}");
    }
    let mut buf = AlignedBuf::new();
    let io = asking(Policy::Required);
    let reader = io.open(&path).unwrap();
    assert_eq!(reader.read_at(100, 5, &mut buf).unwrap(), b"dirty");
    assert_eq!(io.stats().read_from_cache_bytes, 5, "from the cache, where it lies as a whole");
    assert_eq!(cached(&path).unwrap().dirty, 2, "which makes nobody write");

    let reader = strictly_direct(Policy::Required).open(&path).unwrap();
    assert_eq!(reader.read_at(100, 5, &mut buf).unwrap(), b"dirty");
    let after = cached(&path).unwrap();
    assert_eq!((after.cached, after.dirty), (before.cached, 1), "only what it met is flushed");
    assert_eq!(&reader.read_at(0, LEN, &mut buf).unwrap()[900_000..900_005], b"dirty");
    let after = cached(&path).unwrap();
    assert_eq!((after.cached, after.dirty, after.writeback), (before.cached, 0, 0));
}

/// Evictions between question and answer: the bytes are right, and the cache gets nothing back.
#[test]
fn evictions_in_the_midst_neither_spoil_the_bytes_nor_pull_pages_in() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    if cached(&path).is_none() {
        return;
    }
    let file = std::fs::File::open(&path).unwrap();
    let (content, io) = (pattern(LEN), asking(Policy::Required));
    let reader = io.open(&path).unwrap();
    let began = std::time::Instant::now();
    for round in 0..60 {
        // On a busy machine, dropping pages takes its time.
        if began.elapsed() > std::time::Duration::from_secs(5) {
            break;
        }
        warm(&path, 0, LEN);
        let left = std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut buf = AlignedBuf::new();
                for step in 0..60 {
                    let at = (round * 31 + step) * 7_919 % (LEN - 60_000);
                    let got = reader.read_at(at as u64, 60_000, &mut buf).unwrap();
                    assert!(got == &content[at..at + 60_000]);
                }
            });
            std::thread::sleep(std::time::Duration::from_micros(200));
            drop_cached(&file, 0..u64::MAX).unwrap();
            let left = cached(&path).unwrap().cached;
            reading.join().unwrap();
            left
        });
        // Pages that were just being read could not be dropped: but there are no new ones.
        let later = cached(&path).unwrap().cached;
        assert!(later <= left, "{later} pages after {left}");
    }
    let stats = io.stats();
    assert!(stats.read_from_cache_bytes > 0 && stats.read_direct_bytes > 0, "{stats:?}");
}

/// On tmpfs everything is cached and nothing can be taken from there: it is read as before.
#[test]
fn a_filesystem_without_such_reads_is_read_directly() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return eprintln!("SKIPPED: no /dev/shm");
    };
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(LEN)).unwrap();
    let io = asking(Policy::Prefer);
    let reader = io.open(&path).unwrap();
    let mut buf = AlignedBuf::new();
    for _ in 0..3 {
        assert!(reader.read_at(5, 100_000, &mut buf).unwrap() == &pattern(LEN)[5..100_005]);
    }
    let stats = io.stats();
    assert_eq!(stats.read_from_cache_bytes, 0);
    assert!(stats.read_direct_bytes + stats.read_buffered_bytes >= 300_000);
}
