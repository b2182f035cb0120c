//! What is written can be read, at every stage.

use tsdb_format::head_chunks::{HEADER_BYTES, head_chunk_record_len};

use super::*;

#[test]
fn a_chunk_can_be_read_from_the_moment_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("chunks_head");
    let vfs = os(dir.parent().unwrap());
    let (files, loaded) = open(vfs.clone(), &dir);
    assert_eq!((loaded.len(), loaded.last_ref, files.next_file()), (0, None, 1));
    let wanted = numbered(40);
    let mut refs = Vec::new();
    for (at, chunk) in wanted.iter().enumerate() {
        refs.push(files.write(&chunk.borrow()).unwrap());
        for (chunk_ref, chunk) in refs.iter().zip(&wanted[..=at]) {
            let read = files.chunk(*chunk_ref).unwrap();
            assert_eq!(&*read, chunk.data, "{chunk_ref} after {at}");
            assert_eq!(read.encoding(), chunk.encoding);
        }
    }
    // As 3.15 gives references: files from 1, offsets behind the header, cut where one is too long.
    let (mut file, mut offset) = (1, HEADER_BYTES);
    for (chunk_ref, chunk) in refs.iter().zip(&wanted) {
        let bytes = head_chunk_record_len(chunk.data.len());
        if offset + bytes > 700 {
            (file, offset) = (file + 1, HEADER_BYTES);
        }
        assert_eq!(*chunk_ref, HeadChunkRef::new(file, offset as u32));
        offset += bytes;
    }
    assert!(file > 4, "{file}");
    files.close().unwrap();
    let length: u64 = paths(&dir).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(files.len_bytes(), length);

    let (again, loaded) = open(vfs, &dir);
    let last = refs.last().copied();
    assert_eq!(loaded.last_ref, last);
    assert_eq!(loaded.repair, ChunkFilesRepair::default());
    let wanted: Vec<_> = refs.into_iter().zip(wanted).collect();
    assert_eq!(all(&again, &loaded), wanted);
    assert_eq!(again.next_file(), file + 1);
    let (chunk_ref, _) = wanted.iter().find(|(_, chunk)| chunk.is_out_of_order).unwrap();
    assert!(loaded.has_out_of_order(4.into(), *chunk_ref));
    assert!(!loaded.has_out_of_order(1.into(), *chunk_ref));
    assert!(!loaded.has_out_of_order(1.into(), wanted[0].0));
}

#[test]
fn what_waits_is_lost_by_a_kill_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = open(os(dir.path()), dir.path());
    let wanted = numbered(30);
    let refs: Vec<_> = wanted.iter().map(|chunk| files.write(&chunk.borrow()).unwrap()).collect();
    let (_, loaded) = open(os(dir.path()), dir.path());
    let flushed = loaded.len();
    assert!((20..30).contains(&flushed), "{flushed}");
    files.flush().unwrap();
    let (again, loaded) = open(os(dir.path()), dir.path());
    assert_eq!(without_refs(all(&again, &loaded)), wanted);
    assert_eq!(loaded.last_ref, refs.last().copied());
}

#[test]
fn what_is_too_old_or_unknown_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = open(os(dir.path()), dir.path());
    let wanted = numbered(20);
    for chunk in &wanted {
        files.write(&chunk.borrow()).unwrap();
    }
    let unknown = HeadChunk { encoding: 99, series_ref: 77.into(), ..wanted[19].borrow() };
    files.write(&unknown).unwrap();
    files.close().unwrap();
    let cancel = CancelToken::new();
    let options = LoadOptions { min_valid_time: 10_005, ..load(&cancel) };
    let (files, loaded) = ChunkFiles::open(os(dir.path()), dir.path(), small(), options).unwrap();
    // Chunks out of order are kept, however old.
    let is_old = |chunk: &&Owned| chunk.times.1 < 10_005 && !chunk.is_out_of_order;
    let old = wanted.iter().filter(is_old).count() as u64;
    assert_eq!((loaded.too_old, loaded.unknown), (old, 1));
    assert!(old >= 5);
    assert_eq!(loaded.len() as u64, 20 - old);
    assert!(all(&files, &loaded).iter().all(|(_, chunk)| !is_old(&chunk)));
    cancel.cancel();
    let cancelled = ChunkFiles::open(os(dir.path()), dir.path(), small(), load(&cancel));
    assert!(matches!(cancelled, Err(ChunkFilesError::Cancelled)), "{cancelled:?}");
}

#[test]
fn truncation_takes_files_in_front_and_leaves_who_reads_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = open(os(dir.path()), dir.path());
    let wanted = numbered(40);
    let refs: Vec<_> = wanted.iter().map(|chunk| files.write(&chunk.borrow()).unwrap()).collect();
    let active = files.next_file();
    let (first, last) = (files.chunk(refs[0]).unwrap(), refs.last().copied().unwrap());
    let bytes_before = files.len_bytes();

    let truncated = files.truncate(3).unwrap();
    assert_eq!(truncated.files, 2);
    assert_eq!(files.len_bytes(), bytes_before - truncated.bytes);
    assert_eq!(names(dir.path()).first().map(String::as_str), Some("000003"));
    assert_eq!(&*first, wanted[0].data, "stays readable");
    for (chunk_ref, chunk) in refs.iter().zip(&wanted) {
        match files.chunk(*chunk_ref) {
            Ok(read) => assert_eq!((&*read, chunk_ref.file() >= 3), (&*chunk.data, true)),
            Err(ChunkFilesError::Missing { .. }) => assert!(chunk_ref.file() < 3),
            Err(error) => panic!("{error}"),
        }
    }
    // The next chunk goes to another file, and the active one could go then.
    assert_eq!(files.truncate(u32::MAX).unwrap().files, u64::from(active) - 3);
    assert_eq!(&*files.chunk(last).unwrap(), wanted[39].data);
    let next = files.write(&wanted[0].borrow()).unwrap();
    assert_eq!(next, HeadChunkRef::new(active + 1, 8));
    files.truncate(u32::MAX).unwrap();
    assert!(matches!(files.chunk(last), Err(ChunkFilesError::Missing { .. })));
    assert_eq!(names(dir.path()), [format!("{:06}", active + 1)]);
}

#[test]
fn many_write_and_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = ChunkFilesOptions { sync_aside: true, ..small() };
    let cancel = CancelToken::new();
    let (files, _) = ChunkFiles::open(os(dir.path()), dir.path(), options, load(&cancel)).unwrap();
    let wanted = numbered(200);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (files, wanted) = (files.clone(), &wanted);
            scope.spawn(move || {
                let mut own = Vec::new();
                for chunk in wanted.iter().skip(thread).step_by(4) {
                    own.push((files.write(&chunk.borrow()).unwrap(), chunk));
                    for (chunk_ref, chunk) in own.iter().rev().take(9) {
                        assert_eq!(&*files.chunk(*chunk_ref).unwrap(), chunk.data);
                    }
                }
            });
        }
    });
    files.close().unwrap();
    let (files, loaded) = {
        let options = LoadOptions { is_read_only: true, ..load(&cancel) };
        ChunkFiles::open(os(dir.path()), dir.path(), small(), options).unwrap()
    };
    assert!(files.chunk(loaded.last_ref.unwrap()).is_ok());
}
