//! What is chosen on each filesystem, and why. With `--nocapture` it prints the README's table.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use uncached_io::{
    AlignedBuf, EngineKind, EngineRefusal, Error, FallbackReason, Io, Mode, Policy,
    cached_pages_at, engines,
};

use crate::content::{assert_same, io_by, pattern, read, working, write};
use crate::expected;
use crate::mount::{Kind, Mount};

const KINDS: [Kind; 10] = [
    Kind::Ext4,
    Kind::Ext4On4Kn,
    Kind::Ext4DataJournal,
    Kind::Xfs,
    Kind::XfsOn4Kn,
    Kind::Btrfs,
    Kind::Overlay,
    Kind::OverlayOnTmpfs,
    Kind::Tmpfs,
    Kind::Ramfs,
];

/// Neither whole blocks nor whole buffers.
const LEN: usize = (1 << 20) + 1234;

#[test]
fn each_filesystem_gets_what_suits_it() {
    println!(
        "| filesystem | chosen | alignment: memory, write, read | misaligned direct write \
         | cached after | not to be had |"
    );
    println!("|---|---|---|---|---|---|");
    for kind in KINDS {
        let Some(mount) = Mount::new(kind) else { continue };
        let io = Io::probe(&mount.path(), Policy::Prefer).unwrap();
        // It is no matter of luck: buffers of the heap are new at one time and used at another.
        for _ in 0..20 {
            let again = Io::probe(&mount.path(), Policy::Prefer).unwrap();
            assert_eq!(again.mode().is_direct(), io.mode().is_direct(), "{kind:?}");
        }
        if expected::is_uncached(kind) {
            wants_direct(kind, &mount, &io);
        } else {
            wants_a_reason(kind, &mount, &io);
        }
        wants_engines(kind, &mount, &io);
        let misaligned = misaligned_writes(kind, &mount);
        let path = mount.path().join("file");
        let content = pattern(1, LEN);
        write(&io, &path, &content, 10_000).unwrap();
        let cached =
            cached_pages_at(&mount.stored("file")).unwrap().map_or("unknown".to_owned(), |pages| {
                if io.mode().is_direct() {
                    assert_eq!(pages.cached, 0, "{kind:?}");
                }
                format!("{} pages", pages.cached)
            });
        let mut buf = AlignedBuf::new();
        let reader = io.open(&path).unwrap();
        let reads_directly = ![Kind::Ramfs, Kind::Tmpfs, Kind::Ext4DataJournal].contains(&kind);
        assert_eq!(reader.mode().is_direct(), reads_directly, "{kind:?}");
        assert_same(reader.read_at(3, LEN, &mut buf).unwrap(), &content[3..], "our reader");
        assert_same(&read(&path), &content, "through the cache");
        print_row(kind, &mount, &io, &misaligned, &cached);
    }
}

/// The alignments are those that the device has, not what this kernel happened to say once.
fn wants_direct(kind: Kind, mount: &Mount, io: &Io) {
    let Mode::Direct(alignment) = io.mode() else { panic!("{kind:?}: {:?}", io.mode()) };
    let required = Io::probe(&mount.path(), Policy::Required).unwrap();
    assert_eq!(required.mode(), io.mode(), "{kind:?}");
    if kind == Kind::Btrfs {
        // Reports nothing up to Linux 6.18, and so gets the block size of a page.
        assert_eq!((alignment.mem_align, alignment.offset_align), (4096, 4096));
        return;
    }
    let sector = mount.queue_limit("logical_block_size").unwrap();
    assert_eq!(sector, kind.sector_bytes(), "{kind:?}");
    assert_eq!(alignment.offset_align, sector, "{kind:?}");
    assert_eq!(alignment.read_offset_align, sector, "{kind:?}");
    // Since Linux 6.12 sysfs says what the device needs of memory.
    if let Some(mask) = mount.queue_limit("dma_alignment") {
        assert_eq!(alignment.mem_align, mask + 1, "{kind:?}");
    }
}

fn wants_a_reason(kind: Kind, mount: &Mount, io: &Io) {
    let reason = *io.mode().fallback_reason().unwrap();
    match (kind, reason) {
        (Kind::Tmpfs, FallbackReason::CachedAnyway { cached_pages }) => assert!(cached_pages > 0),
        // It is cached, but what `cachestat` sees of an overlay's file says nothing.
        (Kind::OverlayOnTmpfs, FallbackReason::CacheInvisible) => {}
        (Kind::Ext4DataJournal, FallbackReason::NotOffered) => {}
        (Kind::Ramfs, FallbackReason::OpenRefused(errno)) => assert_eq!(errno.0, libc::EINVAL),
        other => panic!("{other:?}"),
    }
    let fallback = [EngineKind::DontCache, EngineKind::Buffered];
    let fallback = fallback.into_iter().find(|&engine| expected::works(kind, engine));
    assert_eq!(Some(io.engine()), fallback, "{kind:?}");
    let error = Io::probe(&mount.path(), Policy::Required).unwrap_err();
    let wanted = Error::NotUncached { path: mount.path(), reason };
    assert_eq!(error, wanted);
}

/// What has to work is reported as working and does work; the rest says the reason that applies.
fn wants_engines(kind: Kind, mount: &Mount, io: &Io) {
    for report in engines(&mount.path()) {
        let why = format!("{kind:?}: {report:?}");
        let direct = io.mode().is_direct();
        match (report.kind, report.result) {
            (EngineKind::Buffered, Ok(())) => {}
            (EngineKind::Thread | EngineKind::Blocking, Ok(())) => assert!(direct, "{why}"),
            (EngineKind::IoUring, Ok(())) => assert!(direct, "{why}"),
            (EngineKind::IoUring, Err(EngineRefusal::Ring(_))) => assert!(direct, "{why}"),
            (EngineKind::IoUring, Err(EngineRefusal::RingDisabled { .. })) => {
                assert!(direct, "{why}");
            }
            (EngineKind::DontCache, Ok(())) => {}
            (EngineKind::DontCache, Err(EngineRefusal::DontCache(errno))) => {
                assert!([libc::EOPNOTSUPP, libc::EINVAL].contains(&errno.0), "{why}");
            }
            (engine, Err(EngineRefusal::NotUncached(reason))) if engine.is_direct() => {
                assert_eq!(io.mode().fallback_reason(), Some(&reason), "{why}");
            }
            _ => panic!("{why}"),
        }
    }
    for engine in working(kind, &mount.path()) {
        let path = mount.path().join(engine.name());
        let content = pattern(2, LEN);
        write(&io_by(&mount.path(), engine), &path, &content, 4000).unwrap();
        assert_same(&read(&path), &content, engine.name());
    }
}

/// What the kernel says to direct writes whose length, place or memory is misaligned: the same to
/// each.
fn misaligned_writes(kind: Kind, mount: &Mount) -> String {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).custom_flags(libc::O_DIRECT);
    let file = match options.open(mount.path().join("misaligned")) {
        Ok(file) => file,
        Err(error) => {
            assert_eq!(kind, Kind::Ramfs, "{error}");
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            return "open fails: EINVAL".to_owned();
        }
    };
    let sector = kind.sector_bytes();
    let buf = AlignedBuf::with_capacity(3 * sector, 4096);
    let bytes = buf.as_slice();
    let is_enforced =
        !matches!(kind, Kind::Btrfs | Kind::Tmpfs | Kind::OverlayOnTmpfs | Kind::Ext4DataJournal);
    // The first one is aligned, and taken everywhere.
    assert_eq!(file.write_at(&bytes[..sector], 0).unwrap(), sector, "{kind:?}");
    for (what, bytes, offset) in [
        ("length", &bytes[..sector / 2], 0),
        ("offset", &bytes[..sector], sector as u64 / 2),
        ("memory", &bytes[1..=sector], 0),
    ] {
        let result = file.write_at(bytes, offset).map_err(|error| error.raw_os_error());
        let wanted = if is_enforced { Err(Some(libc::EINVAL)) } else { Ok(bytes.len()) };
        assert_eq!(result, wanted, "{kind:?}: {what}");
    }
    if is_enforced { "EINVAL" } else { "accepted" }.to_owned()
}

fn print_row(kind: Kind, mount: &Mount, io: &Io, misaligned: &str, cached: &str) {
    let (chosen, alignment) = match io.mode() {
        Mode::Direct(it) => {
            let [mem, write, read] = [it.mem_align, it.offset_align, it.read_offset_align];
            ("direct".to_owned(), format!("{mem}, {write}, {read}"))
        }
        mode => {
            let reason = mode.fallback_reason().map_or(String::new(), ToString::to_string);
            (format!("{}: {reason}", io.engine()), "-".to_owned())
        }
    };
    let refused = engines(&mount.path()).into_iter().filter_map(|report| {
        report.result.err().map(|refusal| format!("{} ({})", report.kind, refusal.name()))
    });
    let refused: Vec<_> = refused.collect();
    let name = kind.name();
    let refused = refused.join(", ");
    println!("| {name} | {chosen} | {alignment} | {misaligned} | {cached} | {refused} |");
}
