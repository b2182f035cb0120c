//! Files that are damaged, cut off, or missing.

use proptest::prelude::*;
use tsdb_format::head_chunks::head_chunks_header;

use super::*;

/// Files of `numbered(30)` in a fresh directory.
fn written(dir: &Path) -> Vec<(HeadChunkRef, Owned)> {
    let (files, _) = open(os(dir), dir);
    let chunks = numbered(30);
    let refs: Vec<_> = chunks.iter().map(|chunk| files.write(&chunk.borrow()).unwrap()).collect();
    files.close().unwrap();
    refs.into_iter().zip(chunks).collect()
}

/// Opens what is damaged: the chunks in front of that are there, everything else is set aside, and
/// the next start has nothing to repair.
fn recovered(dir: &Path) -> (Vec<(HeadChunkRef, Owned)>, ChunkFilesRepair) {
    let (files, loaded) = open(os(dir), dir);
    let first = all(&files, &loaded);
    let next = files.next_file();
    let more = numbered(1);
    // What is written now is read behind it.
    let chunk = Owned { series_ref: 999, ..more[0].clone() };
    files.write(&chunk.borrow()).unwrap();
    files.close().unwrap();
    let (files, again) = open(os(dir), dir);
    assert_eq!(again.repair, ChunkFilesRepair::default());
    let mut wanted = first.clone();
    wanted.push((HeadChunkRef::new(next, 8), chunk));
    assert_eq!(all(&files, &again), wanted);
    (first, loaded.repair)
}

fn content(paths: &[PathBuf]) -> Vec<u8> {
    paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_flipped_byte_costs_the_chunks_from_there_on_and_keeps_them_aside() {
    let mut seen = 0;
    for at in (0..700).step_by(13) {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let wanted = written(dir);
        let path = dir.join("000003");
        let mut bytes = fs::read(&path).unwrap();
        let Some(byte) = bytes.get_mut(at) else { continue };
        *byte ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let before: Vec<PathBuf> = paths(dir).into_iter().skip(2).collect();
        let before = content(&before).len() as u64;

        let (recovered, repair) = recovered(dir);
        let hit = |chunk_ref: &HeadChunkRef| *chunk_ref >= HeadChunkRef::new(3, at as u32 + 1);
        let mut in_front = wanted.iter().take_while(|(chunk_ref, _)| !hit(chunk_ref)).count();
        // The chunk that the byte is in; a header has none, and its padding means nothing.
        match at {
            0..5 => {}
            5..8 => in_front = wanted.len(),
            _ => in_front -= 1,
        }
        assert_eq!(recovered, wanted[..in_front], "{at}");
        if in_front == wanted.len() {
            continue;
        }
        seen += 1;
        assert!(repair.reason.is_some());
        let kept = recovered.iter().filter(|(chunk_ref, _)| chunk_ref.file() == 3).count();
        let kept_bytes = if kept == 0 { 0 } else { fs::metadata(&path).unwrap().len() };
        assert_eq!(repair.cut_bytes, before - kept_bytes, "{at}");
        let cut: u64 = repair.cut.iter().map(|path| path.metadata().unwrap().len()).sum();
        assert_eq!(repair.cut_bytes, cut);
        let flipped = repair.cut.last().map(|path| fs::read(path).unwrap()).unwrap();
        assert_eq!(flipped, bytes[kept_bytes as usize..], "{at}");
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn a_cut_file_costs_its_end_only_if_it_is_the_last() {
    for number in [2, 4] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let wanted = written(dir);
        let path = dir.join(format!("{number:06}"));
        let length = fs::metadata(&path).unwrap().len();
        fs::File::options().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
        for later in number + 1..=4 {
            if number == 4 {
                fs::remove_file(dir.join(format!("{later:06}"))).unwrap();
            }
        }
        let (recovered, repair) = recovered(dir);
        let of_file = wanted.iter().filter(|(chunk_ref, _)| chunk_ref.file() <= number).count();
        assert_eq!(recovered, wanted[..of_file - 1]);
        // A file is kept as far as it has chunks.
        let is_kept = recovered.iter().any(|(chunk_ref, _)| chunk_ref.file() == number);
        assert_eq!(repair.cut.len() as u64, repair.cut_files + u64::from(is_kept));
        assert_eq!(repair.cut_files > 1, number == 2, "{repair:?}");
    }
}

#[test]
fn a_gap_ends_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = written(dir.path());
    fs::remove_file(dir.path().join("000002")).unwrap();
    let (recovered, repair) = recovered(dir.path());
    let first = wanted.iter().filter(|(chunk_ref, _)| chunk_ref.file() == 1).count();
    assert_eq!(recovered, wanted[..first]);
    assert_eq!(repair.cut.len() as u64, repair.cut_files);
    assert!(repair.cut_files >= 2);
}

#[test]
fn a_last_file_that_was_only_begun_is_no_damage() {
    for content in [&head_chunks_header()[..], &[], &[1, 0x30], &[0; 70_000]] {
        let dir = tempfile::tempdir().unwrap();
        let wanted = written(dir.path());
        let last = wanted.last().unwrap().0.file();
        fs::write(dir.path().join(format!("{:06}", last + 1)), content).unwrap();
        let (recovered, repair) = recovered(dir.path());
        assert_eq!(recovered, wanted);
        assert!(repair.cut.is_empty(), "{repair:?}");
    }
}

/// As Prometheus leaves it: preallocated to 128 KiB.
#[test]
fn zeros_behind_the_last_chunk_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = written(dir.path());
    for path in paths(dir.path()) {
        fs::File::options().write(true).open(&path).unwrap().set_len(128 << 10).unwrap();
    }
    let (recovered, repair) = recovered(dir.path());
    assert_eq!(recovered, wanted);
    assert_eq!(repair, ChunkFilesRepair::default());
}

#[test]
fn a_chunk_out_of_sequence_ends_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = open(os(dir.path()), dir.path());
    let chunks = numbered(12);
    for chunk in &chunks {
        files.write(&chunk.borrow()).unwrap();
    }
    // Of a series that has one there already; out of order it would do.
    files.write(&Owned { is_out_of_order: true, ..chunks[0].clone() }.borrow()).unwrap();
    files.write(&chunks[0].borrow()).unwrap();
    files.write(&Owned { series_ref: 50, ..chunks[1].clone() }.borrow()).unwrap();
    files.close().unwrap();
    let (recovered, repair) = recovered(dir.path());
    assert_eq!(recovered.len(), 13);
    assert_eq!(without_refs(recovered)[..12], chunks);
    assert!(repair.reason.is_some_and(|reason| reason.to_string().contains("out of sequence")));
}

#[test]
fn read_only_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = written(dir.path());
    let last = paths(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    let whole = bytes.len();
    bytes.extend_from_slice(&[7; 20]);
    fs::write(&last, &bytes).unwrap();
    let before = (names(dir.path()), content(&paths(dir.path())));
    let cancel = CancelToken::new();
    let options = LoadOptions { is_read_only: true, ..load(&cancel) };
    let (files, loaded) = ChunkFiles::open(os(dir.path()), dir.path(), small(), options).unwrap();
    assert_eq!(all(&files, &loaded), wanted);
    let reason = loaded.repair.reason.unwrap();
    assert!(reason.offset_bytes >= whole as u64, "{reason}");
    assert_eq!((names(dir.path()), content(&paths(dir.path()))), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever a file holds: no panic, and whatever is loaded can be read.
    #[test]
    fn any_bytes_are_loaded_or_set_aside(
        bytes in prop::collection::vec(any::<u8>(), 0..200), with_header: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut file = if with_header { head_chunks_header().to_vec() } else { Vec::new() };
        file.extend_from_slice(&bytes);
        fs::write(dir.path().join("000001"), &file).unwrap();
        recovered(dir.path());
    }
}
