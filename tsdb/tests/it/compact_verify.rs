//! Reading the output back finds nothing wrong where nothing is, stops when it is told to, and
//! blames a source whose index and chunks disagree.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb::compact::{
    CancelToken, CompactError, CompactOptions, Compactor, Phase, SourceFault, list_blocks,
};
use tsdb::generate::{Encoding, GenerateOptions, generate};
use tsdb::vfs::{CreateOptions, Io, OsVfs, Ownership, Policy, Vfs, VfsError, VfsFile, VfsRead};
use tsdb_format::checksum::crc32c;

use crate::fixtures::{list, testdata};
use crate::judge::{self, Random};

const SHAPES: usize = 12;

fn vfs(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

fn verified() -> CompactOptions {
    let mut options = CompactOptions::default();
    options.verify_output = true;
    options
}

/// Blocks of a shape drawn at random.
fn random_blocks(random: &mut Random, dir: &Path) -> Vec<PathBuf> {
    let mut options = GenerateOptions::default();
    options.series = 1 + random.below(150);
    options.samples = random.pick(&[1, 3, 119, 121, 300]);
    options.interval_ms = random.pick(&[1, 1000, 15_000]);
    options.blocks = 1 + random.below(3) as u32;
    options.replicas = 1 + random.below(3) as u32;
    options.churn = random.pick(&[0.0, 0.3, 1.0]);
    options.histogram_share = random.pick(&[0.0, 0.5, 1.0]);
    options.encodings = Encoding::ALL.to_vec();
    options.tombstone_share = random.pick(&[0.0, 0.2, 1.0]);
    options.segment_bytes_max = random.pick(&[5000, 1 << 20]);
    options.seed = random.next();
    let mut blocks = Vec::new();
    generate(&vfs(dir), dir, &options, &CancelToken::new(), |block| {
        blocks.push(block.path.clone());
    })
    .unwrap();
    blocks
}

#[test]
fn random_blocks_pass() {
    let mut random = Random(judge::seed());
    let mut samples = 0;
    for number in 0..SHAPES {
        let dir = tempfile::tempdir().unwrap();
        let blocks = random_blocks(&mut random, dir.path());
        let mut options = verified();
        options.threads = 1 + number % 3;
        options.segment_bytes_max = random.pick(&[4000, 1 << 20]);
        let merged = Compactor::new(vfs(dir.path()), options)
            .merge(&blocks, dir.path())
            .unwrap_or_else(|error| panic!("shape {number}: {error}"));
        samples += merged.ledger.samples_in;
    }
    eprintln!("{SHAPES} shapes, {samples} samples");
    assert!(samples > 0);
}

/// Cancels when the index that was written is opened to be read back.
struct CancellingVfs {
    inner: Arc<dyn Vfs>,
    cancel: CancelToken,
}

impl Vfs for CancellingVfs {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        self.inner.create(path, options)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        let dir = path.parent().and_then(|dir| dir.extension());
        if path.ends_with("index") && dir.is_some_and(|extension| extension == "tmp") {
            self.cancel.cancel();
        }
        self.inner.open(path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.inner.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.inner.rename(from, to)
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

#[test]
fn cancelled_while_reading_back() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    let inner = vfs(dir.path());
    let vfs = Arc::new(CancellingVfs { inner, cancel: cancel.clone() });
    let compactor = Compactor::new(vfs, verified()).with_cancel(cancel.clone());
    let blocks = list(&testdata().join("blocks/replicas-jittered"));
    let outcome = compactor.merge(&blocks, dir.path()).map(|_| ());
    assert!(cancel.is_cancelled(), "the output was not read back");
    assert!(matches!(outcome, Err(CompactError::Cancelled)), "{outcome:?}");
    assert_eq!(compactor.progress().phase(), Phase::Verify, "that is where it stopped");
    assert_eq!(list(dir.path()), Vec::<PathBuf>::new());
}

/// Makes the index say that the first chunk of the block's first series ends a millisecond later.
fn lie_about_time(block: &Path) {
    let path = block.join("index");
    let mut index = fs::read(&path).unwrap();
    let toc = index.len() - 52;
    let start = u64::from_be_bytes(index[toc + 8..toc + 16].try_into().unwrap()) as usize;
    let start = start.next_multiple_of(16);
    let len = usize::from(index[start]);
    assert!(len < 128, "a short entry");
    let body = start + 1..start + 1 + len;
    // Labels are small ids; behind them: one chunk, its start, its length, its reference (8).
    let labels = usize::from(index[body.start]);
    assert_eq!(index[body.start + 1 + 2 * labels], 1, "one chunk");
    assert_eq!(index[body.end - 1], 8, "the first chunk of the first segment");
    index[body.end - 2] += 1;
    let crc = crc32c(&index[body.clone()]).to_be_bytes();
    index[body.end..body.end + 4].copy_from_slice(&crc);
    fs::write(path, index).unwrap();
}

#[test]
fn a_source_that_lies_about_times_is_blamed() {
    let dir = tempfile::tempdir().unwrap();
    let mut blocks = Vec::new();
    for source in list(&testdata().join("blocks/out-of-order")) {
        let copy = dir.path().join(source.file_name().unwrap());
        fs::create_dir_all(copy.join("chunks")).unwrap();
        for file in ["index", "meta.json", "tombstones", "chunks/000001"] {
            fs::copy(source.join(file), copy.join(file)).unwrap();
        }
        blocks.push(copy);
    }
    lie_about_time(&blocks[0]);
    let outcome = Compactor::new(vfs(dir.path()), verified()).merge(&blocks, dir.path());
    let Err(CompactError::Source(error)) = outcome else { panic!("it was published") };
    assert_eq!(error.block, blocks[0]);
    assert!(matches!(error.fault, SourceFault::IndexDisagrees(_)), "{error}");
    assert_eq!(error.chunk, Some((1, 8)));
    assert_eq!(list_blocks(dir.path()).unwrap().blocks.len(), 2, "nothing was published");
}
