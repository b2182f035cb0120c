//! What files hold, and how each engine writes them.

use std::path::Path;

use uncached_io::{CreateOptions, EngineKind, Error, Io, IoOptions, Policy, engines};

use crate::expected;
use crate::mount::Kind;

/// Buffers small enough that short files fill several.
pub(crate) const BUFFER_BYTES: usize = 64 << 10;

/// Bytes that say where they belong: other files (`seed`), blocks and places have others.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    for at in 0..len.div_ceil(8) as u64 {
        bytes.extend_from_slice(&mix(seed ^ (at << 20)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A number that looks random (the finalizer of SplitMix64).
fn mix(of: u64) -> u64 {
    let of = of.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let of = (of ^ (of >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let of = (of ^ (of >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    of ^ (of >> 31)
}

/// Random numbers that come again with their seed.
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `UNCACHED_IO_SEED`, else by the clock; says by what.
    pub(crate) fn new(what: &str) -> Self {
        let given = std::env::var("UNCACHED_IO_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = given.unwrap_or(now % 1_000_000_007);
        eprintln!("{what}: UNCACHED_IO_SEED={seed}");
        Self(seed)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(1);
        (mix(self.0) % bound as u64) as usize
    }
}

/// Fails with the first place where two contents differ, not with all of both.
#[track_caller]
pub(crate) fn assert_same(got: &[u8], wanted: &[u8], what: &str) {
    let differ = got.iter().zip(wanted).position(|(got, wanted)| got != wanted);
    assert_eq!(differ, None, "{what}: first different byte");
    assert_eq!(got.len(), wanted.len(), "{what}: length");
}

/// The engines that work in `dir`, which is on a filesystem of this kind. Fails if one of those
/// that have to work there does not, or the reverse.
#[track_caller]
pub(crate) fn working(kind: Kind, dir: &Path) -> Vec<EngineKind> {
    let mut working = Vec::new();
    for report in engines(dir) {
        let is_expected = expected::works(kind, report.kind);
        assert_eq!(report.result.is_ok(), is_expected, "{kind:?}: {report:?}");
        working.extend(is_expected.then_some(report.kind));
    }
    working
}

/// An `Io` that writes by `engine` and by no other.
pub(crate) fn io_by(dir: &Path, engine: EngineKind) -> Io {
    io_with_buffers(dir, engine, IoOptions::default().buffers_per_writer)
}

/// [`io_by`] with so many buffers for each writer.
pub(crate) fn io_with_buffers(dir: &Path, engine: EngineKind, buffers: usize) -> Io {
    let policy = if engine.is_direct() { Policy::Required } else { Policy::Prefer };
    let options = IoOptions::default().engine(engine).buffer_bytes(BUFFER_BYTES);
    let options = options.buffers_per_writer(buffers);
    let io = Io::probe_with(dir, policy, options).unwrap();
    assert_eq!(io.engine(), engine, "tried: {:?}", io.tried());
    assert_eq!(io.mode().is_direct(), engine.is_direct());
    io
}

/// Writes `content` to `path` in pieces of `piece` bytes and finishes it.
pub(crate) fn write(io: &Io, path: &Path, content: &[u8], piece: usize) -> Result<(), Error> {
    let mut writer = io.create(path, CreateOptions::default().replace(true))?;
    for piece in content.chunks(piece) {
        writer.write_all(piece)?;
    }
    assert_eq!(writer.engine(), io.engine());
    assert_eq!(writer.finish()?.len_bytes, content.len() as u64);
    Ok(())
}

/// As others read it, through the page cache.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
