//! What queries hold in the page cache of the sources: a compaction past the cache reads it from
//! there, reads everything else from the disk, and leaves the cache as it was.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb::compact::{CancelToken, CompactOptions, Compactor};
use tsdb::generate::{GenerateOptions, generate};
use tsdb::vfs::{Io, OsVfs, Policy, Vfs};
use uncached_io::{IoOptions, IoStats, cached_pages_at, drop_cached, page_bytes};

use crate::fixtures::list;

/// Three blocks, durable and cold; `None`, said loudly, where the cache can't be avoided or seen.
struct Sources {
    dir: tempfile::TempDir,
    blocks: Vec<PathBuf>,
    /// Chunk segments and indexes.
    files: Vec<PathBuf>,
}

impl Sources {
    fn new() -> Option<Self> {
        // Beside the build, which is on a disk where the system's temporary directory may not be.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let io = match Io::probe(dir.path(), Policy::Required) {
            Ok(io) => io,
            Err(error) => {
                eprintln!("SKIPPED: no uncached I/O in {}: {error}", dir.path().display());
                return None;
            }
        };
        let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(io));
        let mut options = GenerateOptions::default();
        (options.series, options.blocks) = (3000, 3);
        generate(&vfs, dir.path(), &options, &CancelToken::new(), |_| {}).unwrap();
        let blocks = list(dir.path());
        let files: Vec<PathBuf> = blocks
            .iter()
            .flat_map(|block| list(&block.join("chunks")).into_iter().chain([block.join("index")]))
            .collect();
        for file in &files {
            drop_cached(&File::open(file).unwrap(), 0..u64::MAX).unwrap();
        }
        let sources = Self { dir, blocks, files };
        match cached_pages_at(&sources.files[0]).unwrap() {
            Some(pages) if pages.cached == 0 => Some(sources),
            other => {
                eprintln!("SKIPPED: this kernel can't be asked, or caches all the same: {other:?}");
                None
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.metadata().unwrap().len()).sum()
    }

    /// Cached pages of each file.
    fn cached(&self) -> Vec<u64> {
        let count = |file: &PathBuf| cached_pages_at(file).unwrap().unwrap().cached;
        self.files.iter().map(count).collect()
    }

    /// Merges them past the page cache; what was read to do so.
    fn merge(&self) -> IoStats {
        let options = IoOptions::default().read_from_page_cache(true);
        let dest = self.dir.path().join("merged");
        std::fs::create_dir_all(&dest).unwrap();
        let io = Io::probe_with(&dest, Policy::Required, options).unwrap();
        let mut options = CompactOptions::default();
        options.threads = 2;
        let vfs = Arc::new(OsVfs::new(io.clone()));
        let merged = Compactor::new(vfs, options).merge(&self.blocks, &dest).unwrap();
        assert_eq!(merged.block.unwrap().meta.stats.num_samples, 3 * 3000 * 480);
        io.stats()
    }
}

/// Reads the start of a file as a query would, without read-ahead.
fn warm(path: &Path, len_bytes: u64) {
    let file = File::open(path).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    let len = usize::try_from(len_bytes.min(file.metadata().unwrap().len())).unwrap();
    file.read_exact_at(&mut vec![0; len], 0).unwrap();
}

#[test]
fn cold_sources_are_read_directly_and_stay_cold() {
    let Some(sources) = Sources::new() else { return };
    let stats = sources.merge();
    // Files of tombstones were looked at a moment before: three empty ones, of nine bytes.
    assert!(stats.read_from_cache_bytes <= 3 * 9, "{stats:?}");
    assert_eq!(stats.read_buffered_bytes, 0);
    assert!(stats.read_direct_bytes >= sources.bytes() * 9 / 10, "{stats:?}");
    assert!(sources.cached().iter().all(|&pages| pages == 0), "{:?}", sources.cached());
}

#[test]
fn sources_that_are_cached_are_read_from_the_cache_and_stay_there() {
    let Some(sources) = Sources::new() else { return };
    for file in &sources.files {
        warm(file, u64::MAX);
    }
    let before = sources.cached();
    let stats = sources.merge();
    assert!(stats.read_from_cache_bytes >= sources.bytes() * 9 / 10, "{stats:?}");
    assert!(stats.read_direct_bytes <= sources.bytes() / 10, "{stats:?}");
    assert_eq!(sources.cached(), before);
}

#[test]
fn of_sources_that_are_cached_in_part_the_rest_is_not_pulled_in() {
    let Some(sources) = Sources::new() else { return };
    for file in &sources.files {
        warm(file, file.metadata().unwrap().len() / 2);
    }
    let before = sources.cached();
    let halves = before.iter().sum::<u64>() * page_bytes();
    let stats = sources.merge();
    assert!(stats.read_from_cache_bytes >= halves / 2, "{stats:?} of {halves}");
    assert!(stats.read_direct_bytes >= sources.bytes() / 3, "{stats:?}");
    // Nothing is pulled in. Of what was there, the kernel itself may have reclaimed a few pages.
    for (after, before) in sources.cached().into_iter().zip(before) {
        assert!(after <= before && after + before / 20 >= before, "{after} of {before} pages");
    }
}
