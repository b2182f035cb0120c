//! What outgrows its share is spilled, and the output is the same.

use super::super::budget::{LongShares, Shares};
use super::*;
use crate::vfs::sim::{Effect, SimVfs};

/// Shares that nothing fits into.
pub(super) fn tiny() -> Shares {
    Shares {
        symbol_store_bytes: 100,
        symbol_maps_bytes: 48 << 10,
        source_window_bytes: 4 << 10,
        workers: 1,
        batch_bytes: 1 << 10,
        batches: 3,
        entry_bytes_max: 4 << 10,
        batches_bytes: 3 << 10,
        series_bytes_max: 1 << 20,
        long: LongShares {
            list_bytes: 4 << 10,
            chunk_bytes: 4 << 10,
            piece_bytes: 1 << 10,
            group_chunks_max: 1 << 20,
            fixed_bytes: 1 << 10,
        },
        segment_buffer_bytes: 4 << 10,
        index_buffer_bytes: 4 << 10,
        postings_bytes: 1 << 10,
        table_bytes: 64,
        tombstone_bytes: 1 << 20,
        sort_bytes: 1 << 10,
    }
}

/// Files of a block that its content decides, by name.
fn content(block: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = std::iter::once(block.join("index")).chain(list(&block.join("chunks")));
    files.map(|path| (path.strip_prefix(block).unwrap().into(), fs::read(&path).unwrap())).collect()
}

#[test]
fn tiny_shares_spill_and_give_the_same_bytes() {
    let mut spilled = std::collections::BTreeSet::new();
    for case in ["basic", "churn", "labels", "many-segments", "replicas-three", "tombstones"] {
        let dir = tempfile::tempdir().unwrap();
        let [plain, tight] = ["plain", "tight"].map(|name| dir.path().join(name));
        fs::create_dir(&plain).unwrap();
        fs::create_dir(&tight).unwrap();
        let sources = sources(case);
        let merged = Compactor::new(os_vfs(&plain), options(true)).merge(&sources, &plain).unwrap();
        let expected = content(merged.block.unwrap().path());

        let vfs = SimVfs::new(&tight).unwrap();
        let compactor = Compactor::new(Arc::new(vfs.clone()), options(true)).with_shares(tiny());
        let merged = compactor.merge(&sources, &tight).unwrap();
        assert_eq!(content(merged.block.unwrap().path()), expected, "{case}");
        for effect in vfs.effects() {
            if let Effect::Create { path, .. } = effect
                && path.components().any(|part| part.as_os_str() == "spill")
            {
                spilled.insert(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    for file in ["symbols", "postings-0000", "postings-0001", "postings-last", "postings-table"] {
        assert!(spilled.contains(file), "{file} was never spilled: {spilled:?}");
    }
}

#[test]
fn symbol_maps_that_do_not_fit_say_what_would_do() {
    let dir = tempfile::tempdir().unwrap();
    let shares = Shares { symbol_maps_bytes: 16, ..tiny() };
    let compactor = Compactor::new(os_vfs(dir.path()), options(false)).with_shares(shares);
    let Err(error) = compactor.merge(&sources("basic"), dir.path()) else {
        panic!("maps can't take so little")
    };
    assert!(matches!(error, CompactError::Budget { .. }), "{error}");
    assert!(error.to_string().contains("--memory-budget="), "{error}");
    assert_eq!(list(dir.path()), Vec::<PathBuf>::new());
}
