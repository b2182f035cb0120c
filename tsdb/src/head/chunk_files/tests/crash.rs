//! The power goes, or the disk fails, at every effect.

use super::*;
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};

const SEED: u64 = 315;
const CHUNKS: usize = 26;

/// Writes until something fails for good. What could be read at the end, as many as were taken.
fn write_some(vfs: &SimVfs, dir: &Path, sync_aside: bool) -> usize {
    let options = ChunkFilesOptions { sync_aside, ..small() };
    let cancel = CancelToken::new();
    let Ok((files, _)) = ChunkFiles::open(Arc::new(vfs.clone()), dir, options, load(&cancel))
    else {
        return 0;
    };
    let mut taken: Vec<(HeadChunkRef, Owned)> = Vec::new();
    for (number, chunk) in numbered(CHUNKS).into_iter().enumerate() {
        let Ok(chunk_ref) = files.write(&chunk.borrow()) else { break };
        taken.push((chunk_ref, chunk));
        if number == CHUNKS / 2 {
            let _ = files.flush();
        }
    }
    for (chunk_ref, chunk) in &taken {
        assert_eq!(&*files.chunk(*chunk_ref).unwrap(), chunk.data, "{chunk_ref}");
    }
    if files.close().is_err() {
        let _ = files.close();
    }
    taken.len()
}

fn recovered(tree: &Tree, story: &dyn std::fmt::Display) -> Vec<Owned> {
    let dir = tempfile::tempdir().unwrap();
    tree.write_to(dir.path()).unwrap();
    let vfs = Arc::new(SimVfs::new(dir.path()).unwrap());
    let chunks_dir = dir.path().join("chunks_head");
    let (files, loaded) = open(vfs.clone(), &chunks_dir);
    let first = without_refs(all(&files, &loaded));
    let (files, again) = open(vfs, &chunks_dir);
    assert!(without_refs(all(&files, &again)) == first, "{story}");
    assert_eq!(again.repair, ChunkFilesRepair::default(), "{story}");
    first
}

/// What is lost is at the end: a chunk that is there has all those in front of it.
#[test]
fn what_is_there_after_a_crash_is_the_beginning_of_what_was_written() {
    let wanted = numbered(CHUNKS);
    for sync_aside in [false, true] {
        let (mut fired, mut lossy, mut whole) = (0, 0, 0);
        for at in 0.. {
            let mut any = false;
            for kind in FaultKind::AT_EFFECTS {
                let dir = tempfile::tempdir().unwrap();
                let vfs = SimVfs::new(dir.path()).unwrap();
                vfs.inject(Fault { at, kind });
                let taken = write_some(&vfs, &dir.path().join("chunks_head"), sync_aside);
                if !vfs.fault_fired() {
                    continue;
                }
                any = true;
                fired += 1;
                for image in vfs.images(vfs.effect_count(), SEED) {
                    let story = format!("{kind:?} at {at}, seed {SEED}: {image}");
                    let there = recovered(image.tree(), &story);
                    assert!(wanted.starts_with(&there), "{story}: {} chunks", there.len());
                    assert!(there.len() <= taken, "{story}");
                    lossy += usize::from(there.len() < taken);
                    whole += usize::from(there.len() == taken && taken > 0);
                }
            }
            if !any {
                break;
            }
        }
        assert!(fired > 80 && lossy > 100 && whole > 50, "{fired}, {lossy}, {whole}");
    }
}

/// A disk that is full for a while costs nothing.
#[test]
fn what_could_not_be_written_is_tried_again() {
    let wanted = numbered(CHUNKS);
    let mut struck = 0;
    for at in 2..60 {
        let dir = tempfile::tempdir().unwrap();
        let chunks_dir = dir.path().join("chunks_head");
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::ShortWrite });
        if write_some(&vfs, &chunks_dir, false) < CHUNKS {
            continue;
        }
        struck += usize::from(vfs.fault_fired());
        let (files, loaded) = open(Arc::new(vfs), &chunks_dir);
        assert!(without_refs(all(&files, &loaded)) == wanted, "at {at}");
        assert_eq!(loaded.repair, ChunkFilesRepair::default());
    }
    assert!(struck > 5, "{struck}");
}

/// A sync that fails is final: nothing is written behind what may be lost.
#[test]
fn nothing_is_taken_after_a_failed_sync() {
    let mut failed = 0;
    for at in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::FailingSync });
        let options = small();
        let cancel = CancelToken::new();
        let Ok((files, _)) = ChunkFiles::open(
            Arc::new(vfs.clone()),
            &dir.path().join("chunks_head"),
            options,
            load(&cancel),
        ) else {
            continue;
        };
        let chunks = numbered(CHUNKS);
        let mut outcomes = chunks.iter().map(|chunk| files.write(&chunk.borrow()));
        let Some(Err(first)) = outcomes.find(Result::is_err) else { continue };
        assert!(vfs.fault_fired(), "{first}");
        let next = files.write(&chunks[0].borrow());
        if let ChunkFilesError::Vfs(error) = &first
            && error.operation == crate::vfs::Operation::Finish
        {
            assert!(matches!(next, Err(ChunkFilesError::Broken)), "{next:?}");
            failed += 1;
        }
    }
    assert!(failed > 1, "{failed}");
}

/// A repair that is cut short is made up for by the next one, and what it cut away is kept.
#[test]
fn a_repair_can_be_interrupted_anywhere() {
    let mut interrupted = 0;
    for at in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let chunks_dir = dir.path().join("chunks_head");
        write_some(&SimVfs::new(dir.path()).unwrap(), &chunks_dir, false);
        let path = chunks_dir.join("000002");
        let mut bytes = fs::read(&path).unwrap();
        bytes[400] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(Fault { at, kind: FaultKind::Stop });
        let cancel = CancelToken::new();
        let outcome = ChunkFiles::open(Arc::new(vfs.clone()), &chunks_dir, small(), load(&cancel));
        let mut lengths = Vec::new();
        for image in vfs.images(vfs.effect_count(), SEED) {
            let story = format!("at {at}, seed {SEED}, {image}");
            lengths.push(recovered(image.tree(), &story).len());
            let fresh = tempfile::tempdir().unwrap();
            image.tree().write_to(fresh.path()).unwrap();
            open(Arc::new(SimVfs::new(fresh.path()).unwrap()), &fresh.path().join("chunks_head"));
            let is_kept = paths(&fresh.path().join("chunks_head")).iter().any(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("cut.000002"))
                    && bytes.ends_with(&fs::read(path).unwrap())
            });
            assert!(is_kept, "{story}: the tail is lost");
        }
        assert!(lengths.iter().all(|length| *length == lengths[0] && *length > 3), "{lengths:?}");
        if outcome.is_ok() {
            break;
        }
        interrupted += 1;
    }
    assert!(interrupted > 5, "{interrupted}");
}

/// Nobody had to wait for the directory when a file was begun; who opens it next sees to that.
#[test]
fn a_kill_then_a_power_cut_leaves_the_beginning() {
    let wanted = numbered(CHUNKS);
    for killed_at in [1, 3, 8] {
        let dir = tempfile::tempdir().unwrap();
        let chunks_dir = dir.path().join("chunks_head");
        let vfs = SimVfs::new(dir.path()).unwrap();
        let options = ChunkFilesOptions { sync_aside: true, ..small() };
        let cancel = CancelToken::new();
        let open = || {
            let vfs = Arc::new(vfs.clone());
            ChunkFiles::open(vfs, &chunks_dir, options, load(&cancel)).unwrap()
        };
        let write = |files: &ChunkFiles, range: std::ops::Range<usize>| {
            for chunk in &wanted[range] {
                files.write(&chunk.borrow()).unwrap();
            }
            files.flush().unwrap();
        };
        write(&open().0, 0..killed_at);
        let (files, loaded) = open();
        assert_eq!(all(&files, &loaded).len(), killed_at);
        write(&files, killed_at..killed_at + 2);
        for image in vfs.images(vfs.effect_count(), SEED) {
            let there = recovered(image.tree(), &image);
            assert!(wanted.starts_with(&there), "{killed_at}, {}: {image}", there.len());
        }
    }
}
