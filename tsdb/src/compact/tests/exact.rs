//! Figures that are exact: those of a dry run that says so, to the byte, and those of progress.

use super::spills::tiny;
use super::streams::{cases, streaming};
use super::*;
use crate::compact::{DryRun, MergedBlock};
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};

/// Bytes of chunks, segments, bytes of index, series, chunks.
type Figures = (u64, u32, u64, u64, u64);

fn foreseen(run: &DryRun) -> Figures {
    (run.chunk_bytes, run.segments, run.index_bytes, run.series, run.chunks)
}

fn written(block: &MergedBlock) -> Figures {
    let stats = &block.meta.stats;
    (block.chunk_bytes, block.segments, block.index_bytes, stats.num_series, stats.num_chunks)
}

/// Whether the figures are called exact; if so, they are.
fn check(compactor: &Compactor, sources: &[PathBuf], what: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let run = compactor.dry_run(sources, dir.path()).unwrap();
    if run.exact {
        let merged = compactor.merge(sources, dir.path()).unwrap();
        match merged.block {
            Some(block) => assert_eq!(foreseen(&run), written(&block), "{what}"),
            None => assert_eq!((run.chunk_bytes, run.series), (0, 0), "{what}"),
        }
    }
    run.exact
}

#[test]
fn figures_of_every_case_are_exact_where_they_say_so() {
    let mut exact = 0;
    for (name, sources, options, _) in cases() {
        let options = CompactOptions { verify_output: false, ..options };
        let dir = tempfile::tempdir().unwrap();
        let compactor = Compactor::new(os_vfs(dir.path()), options);
        let whole = check(&compactor, &sources, &name);
        // Batches that end everywhere, so that the ends of runs are often not known.
        let tight = check(&compactor.with_shares(tiny()), &sources, &format!("{name}, tight"));
        assert_eq!(whole, tight, "{name}");
        exact += usize::from(whole);
    }
    assert!(exact > 5, "{exact} cases are exact");
}

/// Prometheus sets 512 MiB of disk aside for each segment; after a crash they may still be there.
#[test]
fn zeros_behind_the_last_chunk_are_none_of_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut copies = Vec::new();
    for source in sources("basic") {
        let copy = dir.path().join(source.file_name().unwrap());
        fs::create_dir(&copy).unwrap();
        Tree::of(&source).unwrap().write_to(&copy).unwrap();
        let segment = copy.join("chunks/000001");
        let len = fs::metadata(&segment).unwrap().len();
        fs::File::options().write(true).open(&segment).unwrap().set_len(len + 10_000).unwrap();
        copies.push(copy);
    }
    let compactor = Compactor::new(os_vfs(dir.path()), options(false));
    assert!(check(&compactor, &copies, "zeros"), "nothing of it is encoded anew");
}

/// A last chunk that is longer than what is fetched of one whose length is not known.
#[test]
fn a_long_last_chunk_counts_with_all_of_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let block = one_long_chunk(dir.path());
    let compactor = Compactor::new(os_vfs(dir.path()), options(false));
    assert!(check(&compactor, &[block], "a long last chunk"));
}

/// A block of one series of floats that have nothing in common: one chunk of some 4 KiB.
fn one_long_chunk(dir: &Path) -> PathBuf {
    use tsdb_format::chunkenc::{ChunkAppender, Encoding};
    use tsdb_format::meta::{BlockMeta, Ulid};
    use tsdb_format::tombstones::Tombstones;

    use crate::compact::block_builder::{BlockBuilder, BuildOptions, NewChunk};
    use crate::compact::{SEGMENT_BYTES_MAX, merged_meta};

    let mut appender = ChunkAppender::new(Encoding::Xor);
    let mut bits = 1u64;
    let time = |n: i64| n * 1000 + n * n % 977;
    for n in 0..500 {
        bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        appender.append_float(0, time(n), f64::from_bits(bits >> 2)).unwrap();
    }
    assert!(appender.bytes().len() > 3000, "{} bytes", appender.bytes().len());
    let id = Ulid::from_parts(1_700_000_000_000, 1);
    let segment_bytes_max = SEGMENT_BYTES_MAX;
    let options = BuildOptions { vfs: os_vfs(dir), dest: dir, id, segment_bytes_max };
    let mut block = BlockBuilder::create(options, ["__name__", "up"]).unwrap();
    let (min_time, max_time) = (time(0), time(499));
    let (encoding, data) = (Encoding::Xor, appender.bytes());
    block.add_chunk(NewChunk { encoding, min_time, max_time, samples: 500, data }).unwrap();
    block.end_series(&[0, 1]).unwrap();
    let meta = BlockMeta { min_time: 0, max_time: max_time + 1, ..merged_meta(id, &[]) };
    block.finish(meta, &Tombstones::default()).unwrap().path
}

/// A merge that fails in the end, so that it is not said to be through.
fn progress_of(sources: &[PathBuf], shares: Option<crate::compact::budget::Shares>) -> (u64, u64) {
    let merge = |fault: Option<usize>| {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        if let Some(at) = fault {
            vfs.inject(Fault { at, kind: FaultKind::DeviceError });
        }
        let mut compactor = Compactor::new(Arc::new(vfs.clone()), options(false));
        if let Some(shares) = shares {
            compactor = compactor.with_shares(shares);
        }
        let merged = compactor.merge(sources, dir.path());
        assert_eq!(merged.is_err(), fault.is_some());
        let progress = compactor.progress();
        (vfs.effect_count(), (progress.done_bytes(), progress.planned_bytes()))
    };
    let (effects, (done, planned)) = merge(None);
    assert_eq!(done, planned, "through");
    merge(Some(effects - 1)).1
}

#[test]
fn progress_counts_the_bytes_that_were_read_and_no_others() {
    for case in ["basic", "churn", "replicas-jittered", "many-segments"] {
        let sources = sources(case);
        let segments = |source: &PathBuf| list(&source.join("chunks")).len() as u64;
        let headers = 8 * sources.iter().map(segments).sum::<u64>();
        for shares in [None, Some(tiny()), Some(streaming())] {
            let (done, planned) = progress_of(&sources, shares);
            assert_eq!(done, planned - headers, "{case}");
        }
    }
}
