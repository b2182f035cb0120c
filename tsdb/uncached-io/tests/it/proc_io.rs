//! The counters of this process, while other tests add to them.

use uncached_io::{AlignedBuf, CreateOptions, EngineKind, Policy, ProcessIo};

use crate::{direct_io, disk_dir, pattern, strictly_direct};

#[test]
fn bytes_that_go_to_the_disk_and_come_from_it_are_counted() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let before = match ProcessIo::now() {
        Ok(io) => io,
        Err(error) => return eprintln!("SKIPPED: no counters of I/O here: {error}"),
    };
    let path = dir.path().join("file");
    let len = 3 << 20;
    // What io_uring writes is not among the characters and calls that the kernel counts.
    let options = CreateOptions::default().engine(EngineKind::Blocking);
    let mut writer = io.create(&path, options).unwrap();
    writer.write_all(&pattern(len)).unwrap();
    writer.finish().unwrap();
    let written = ProcessIo::now().unwrap().since(&before);
    assert!(written.write_bytes >= len as u64 && written.wchar >= len as u64, "{written:?}");
    assert!(written.syscw >= 3, "{written:?}");

    let before = ProcessIo::now().unwrap();
    let reader = strictly_direct(Policy::Required).open(&path).unwrap();
    reader.read_at(0, len, &mut AlignedBuf::new()).unwrap();
    let read = ProcessIo::now().unwrap().since(&before);
    assert!(read.read_bytes >= len as u64 && read.rchar >= len as u64, "{read:?}");
    assert!(read.syscr >= 1, "{read:?}");
}
