//! What every engine must do, on the real disk: the same programs, the same bytes.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use uncached_io::{
    CreateOptions, Durability, EngineKind, EngineReport, Error, Finished, Io, IoOptions, Policy,
    Writer, engines,
};

use crate::{disk_dir, pattern};

/// The engines that work here, each with an `Io` of its own; the others are said loudly.
pub(crate) fn every_engine(dir: &Path, options: IoOptions) -> Vec<(EngineKind, Io)> {
    let mut all = Vec::new();
    for EngineReport { kind, result, .. } in engines(dir) {
        if let Err(refusal) = result {
            eprintln!("SKIPPED: no {kind} here: {refusal:?}");
            continue;
        }
        let io = Io::probe_with(dir, Policy::Prefer, options.engine(kind));
        match io {
            Ok(io) => {
                assert_eq!(io.engine(), kind, "{:?}", io.tried());
                all.push((kind, io));
            }
            // Nothing may go through the page cache then: these engines are not meant.
            Err(Error::NotUncached { .. }) if cfg!(feature = "forcedirectio") => {}
            Err(error) => panic!("{kind}: {error:?}"),
        }
    }
    assert!(!all.is_empty());
    all
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize),
    Fill(usize),
    Owned(usize),
    Vectored(Vec<usize>),
    SyncPartial,
    /// Drop the writer after a sync, let rubbish follow, go on with so many bytes less.
    Resume(usize, usize),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0_usize..40_000).prop_map(Op::Write),
        2 => (0_usize..9000).prop_map(Op::Fill),
        3 => (0_usize..20_000).prop_map(Op::Owned),
        2 => proptest::collection::vec(0_usize..20_000, 0..4).prop_map(Op::Vectored),
        2 => Just(Op::SyncPartial),
        1 => (0_usize..9000, 0_usize..9000).prop_map(|(less, more)| Op::Resume(less, more)),
        1 => Just(Op::Reset),
    ]
}

/// One engine at work on a series of files.
struct Run<'a> {
    io: &'a Io,
    dir: PathBuf,
    options: CreateOptions,
    files: usize,
    model: Vec<u8>,
}

impl Run<'_> {
    fn path(&self) -> PathBuf {
        self.dir.join(self.files.to_string())
    }

    fn append(&mut self, len: usize) -> Vec<u8> {
        let bytes = pattern(self.model.len() + len).split_off(self.model.len());
        self.model.extend_from_slice(&bytes);
        bytes
    }

    fn owned(&mut self, writer: &mut Writer, len: usize) -> (uncached_io::AlignedBuf, usize) {
        let mut buf = writer.take_buffer().unwrap();
        let len = len.min(buf.capacity());
        let bytes = self.append(len);
        buf.as_mut_slice()[..len].copy_from_slice(&bytes);
        (buf, len)
    }

    fn check(&self, finished: &Finished) {
        assert_eq!(finished.len_bytes, self.model.len() as u64);
        assert!(std::fs::read(self.path()).unwrap() == self.model, "file {}", self.files);
        // Asked for at the first file and kept by resets; a resumed file has none.
        if let Some(sum) = finished.crc32c {
            assert_eq!(sum, crc32c::crc32c(&self.model));
        }
    }

    fn step(&mut self, writer: &mut Writer, op: &Op) {
        match *op {
            Op::Write(len) => {
                let mut skewed = vec![0; len % 9];
                skewed.extend(self.append(len));
                writer.write_all(&skewed[len % 9..]).unwrap();
            }
            Op::Fill(len) => {
                let bytes = self.append(len);
                writer.reserve(len).unwrap().copy_from_slice(&bytes);
                writer.commit(len).unwrap();
            }
            Op::Owned(len) => {
                let (buf, len) = self.owned(writer, len);
                writer.write_owned(buf, len).unwrap();
            }
            Op::Vectored(ref lens) => {
                let bufs = lens.iter().map(|&len| self.owned(writer, len)).collect();
                writer.write_owned_vectored(bufs).unwrap();
            }
            Op::SyncPartial => {
                writer.sync_partial().unwrap();
                assert!(std::fs::read(self.path()).unwrap().starts_with(&self.model));
            }
            Op::Resume(less, more) => {
                writer.sync_partial().unwrap();
                // Something must stand in its place while the file is written to by others.
                let aside = self.io.create(&self.dir.join("aside"), self.options.replace(true));
                drop(std::mem::replace(writer, aside.unwrap()));
                let mut there = std::fs::read(self.path()).unwrap();
                there.extend(vec![0xDD; more]);
                std::fs::write(self.path(), there).unwrap();
                self.model.truncate(self.model.len().saturating_sub(less));
                let len = self.model.len() as u64;
                *writer = self.io.resume(&self.path(), len, self.options).unwrap();
                assert_eq!(std::fs::metadata(self.path()).unwrap().len(), len, "cut");
            }
            Op::Reset => {
                let path = self.path();
                self.files += 1;
                let finished = writer.reset(&self.path(), self.options).unwrap();
                self.files -= 1;
                assert_eq!(path, self.path());
                self.check(&finished);
                self.files += 1;
                self.model.clear();
            }
        }
        assert_eq!(writer.position(), self.model.len() as u64);
        assert_eq!(writer.path(), self.path());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The same program leaves the same files, whoever writes.
    #[test]
    fn every_engine_does_the_same(
        header in 0_usize..600,
        ops in proptest::collection::vec(op(), 0..14),
        buffers in 1_usize..5,
        each_write: bool,
    ) {
        let dir = disk_dir();
        let options = IoOptions::default().buffer_bytes(16 << 10).buffers_per_writer(buffers);
        for (kind, io) in every_engine(dir.path(), options) {
            let dir = dir.path().join(kind.name());
            std::fs::create_dir(&dir).unwrap();
            let durability = if each_write { Durability::EachWrite } else { Durability::Finish };
            let options = CreateOptions::default().durability(durability);
            let mut run = Run { io: &io, dir, options, files: 0, model: Vec::new() };
            let mut writer = io.create(&run.path(), options).unwrap();
            writer.sum_bytes();
            prop_assert_eq!(writer.engine(), kind);
            let bytes = run.append(header);
            writer.write_all(&bytes).unwrap();
            ops.iter().for_each(|op| run.step(&mut writer, op));
            prop_assert_eq!(writer.engine(), kind);
            let finished = writer.finish().unwrap();
            run.check(&finished);
            prop_assert_eq!(finished.stats.engine_refused, None);
            let past_cache = finished.stats.direct_bytes > 0 || run.model.is_empty();
            prop_assert!(past_cache || !kind.is_direct() || finished.stats.writes == 0);
        }
    }
}

/// Through syncs half way, owned buffers and a reset, the checksum is that of the file.
#[test]
fn the_checksum_is_that_of_the_bytes() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), IoOptions::default().buffer_bytes(8 << 10)) {
        let options = CreateOptions::default();
        let path = |name: &str| dir.path().join(format!("{kind}-{name}"));
        let mut writer = io.create(&path("sum"), options).unwrap();
        writer.sum_bytes();
        let content = pattern(50_003);
        writer.write_all(&content[..777]).unwrap();
        writer.sync_partial().unwrap();
        writer.write_all(&content[777..9_000]).unwrap();
        writer.sync_partial().unwrap();
        writer.sync_partial().unwrap();
        let mut buf = writer.take_buffer().unwrap();
        buf.as_mut_slice()[..5000].copy_from_slice(&content[9_000..14_000]);
        writer.write_owned(buf, 5000).unwrap();
        writer.write_all(&content[14_000..]).unwrap();
        let first = writer.reset(&path("next"), options).unwrap();
        assert_eq!(first.crc32c, Some(crc32c::crc32c(&content)), "{kind}");
        writer.write_all(b"next").unwrap();
        writer.sync_partial().unwrap();
        assert_eq!(writer.finish().unwrap().crc32c, Some(crc32c::crc32c(b"next")), "{kind}");
    }
}

/// Every length of the unaligned end, one by one.
#[test]
fn a_file_is_resumed_at_any_length_of_its_end() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), IoOptions::default().buffer_bytes(8 << 10)) {
        let path = dir.path().join(kind.name());
        let content = pattern(4096 * 2 + 100);
        let io_align = match io.mode() {
            uncached_io::Mode::Direct(alignment) => alignment.offset_align,
            _ => 64,
        };
        // Where blocks are large, not every one of their bytes: all around the edges.
        let lens =
            (0..=io_align).filter(|len| io_align <= 512 || len % 61 < 2 || io_align - len < 3);
        for len in lens.map(|len| 4096 + len) {
            std::fs::write(&path, &content[..len]).unwrap();
            let mut writer = io.resume(&path, len as u64, CreateOptions::default()).unwrap();
            assert_eq!(writer.position(), len as u64);
            writer.write_all(&content[len..]).unwrap();
            let finished = writer.finish().unwrap();
            assert!(std::fs::read(&path).unwrap() == content, "{kind} at {len}");
            if kind.is_direct() {
                assert_eq!(finished.stats.buffered_bytes, 0);
                let tail = len % io_align;
                assert_eq!(finished.stats.rewritten_bytes, tail as u64, "{kind} at {len}");
            }
        }
    }
}

/// Cutting a file in the middle of a block dirties a page of it, which does not stay.
#[test]
fn a_file_that_is_cut_when_it_is_resumed_leaves_nothing_cached() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), IoOptions::default()) {
        if !kind.is_direct() {
            continue;
        }
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.write_all(&pattern(50_000)).unwrap();
        writer.finish().unwrap();
        let writer = io.resume(&path, 20_001, CreateOptions::default()).unwrap();
        let Some(pages) = crate::cached(&path) else { return };
        assert_eq!(pages.cached, 0, "{kind}");
        writer.finish().unwrap();
        assert_eq!(crate::cached(&path).unwrap().cached, 0, "{kind}");
        assert_eq!(std::fs::read(&path).unwrap(), pattern(20_001));
    }
}

#[test]
fn a_file_too_short_to_be_resumed_is_left_alone() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), IoOptions::default()) {
        let path = dir.path().join(kind.name());
        std::fs::write(&path, pattern(1000)).unwrap();
        let error = io.resume(&path, 1001, CreateOptions::default()).unwrap_err();
        assert!(
            matches!(error, Error::TooShort { len_bytes: 1000, wanted_bytes: 1001, .. }),
            "{error:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), pattern(1000));
    }
}

/// A ring belongs to the writer, not to the thread that happens to use it; what a thread had
/// queued in the kernel when it ended is written all the same.
#[test]
fn a_writer_may_outlive_the_threads_that_use_it() {
    let dir = disk_dir();
    let options = IoOptions::default().buffer_bytes(64 << 10).buffers_per_writer(8);
    for (kind, io) in every_engine(dir.path(), options) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        let content = pattern(64 << 10).repeat(6);
        for _ in 0..20 {
            let bytes = content.clone();
            let mut moved = writer;
            writer = std::thread::spawn(move || {
                moved.write_all(&bytes).unwrap();
                moved
            })
            .join()
            .unwrap();
        }
        writer.finish().unwrap();
        assert!(std::fs::read(&path).unwrap() == content.repeat(20), "{kind}");
    }
}

/// Dropped in the middle: what was in flight is awaited, so the file does not change any more.
#[test]
fn a_dropped_writer_leaves_nothing_under_way() {
    let dir = disk_dir();
    let options = IoOptions::default().buffer_bytes(256 << 10).buffers_per_writer(8);
    for (kind, io) in every_engine(dir.path(), options) {
        let path = dir.path().join(kind.name());
        let mut writer = io.create(&path, CreateOptions::default()).unwrap();
        writer.write_all(&pattern(2 << 20)).unwrap();
        drop(writer);
        let left = std::fs::read(&path).unwrap();
        assert!(left.len().is_multiple_of(256 << 10), "{kind}: not truncated");
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(std::fs::read(&path).unwrap() == left, "{kind}");
    }
}

const CHILD_DIR: &str = "UNCACHED_IO_CONTRACT_DIR";

/// A limit on the size of files ends a process that exceeds it. A file that ends below it does
/// not, although it may grow ahead of its writes.
#[test]
fn a_file_below_the_size_limit_is_written() {
    let dir = disk_dir();
    // In units of 512 bytes or, in some shells, of 1024.
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 24000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "contract::child_writes_below_a_limit", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("1 passed"), "the child did not run: {stdout}");
}

#[test]
#[ignore = "run by a_file_below_the_size_limit_is_written"]
fn child_writes_below_a_limit() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    for (kind, io) in every_engine(&dir, IoOptions::default()) {
        let mut writer = io.create(&dir.join(kind.name()), CreateOptions::default()).unwrap();
        writer.write_all(&vec![7; 11 << 20]).unwrap();
        writer.finish().unwrap();
    }
}

/// Several at once from one `Io`, sharing buffers and counters.
#[test]
fn writers_side_by_side_do_not_disturb_each_other() {
    let dir = disk_dir();
    for (kind, io) in every_engine(dir.path(), IoOptions::default().buffer_bytes(32 << 10)) {
        std::thread::scope(|scope| {
            for number in 0..4_usize {
                let (io, dir) = (&io, dir.path());
                scope.spawn(move || {
                    let path = dir.join(format!("{kind}-{number}"));
                    let content = pattern(500_000 + number).split_off(number);
                    let mut writer = io.create(&path, CreateOptions::default()).unwrap();
                    content.chunks(7_000).for_each(|piece| writer.write_all(piece).unwrap());
                    writer.finish().unwrap();
                    assert!(std::fs::read(&path).unwrap() == content, "{kind}");
                });
            }
        });
        assert_eq!(io.stats().files_finished, 4);
        assert_eq!(io.write_latency().count(), io.stats().writes);
    }
}
