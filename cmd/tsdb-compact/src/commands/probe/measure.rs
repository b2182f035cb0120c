//! A few seconds of writing with each engine, in turn.

use std::collections::VecDeque;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tsdb::compact::CancelToken;
use tsdb::vfs::Policy;
use uncached_io::{
    CreateOptions, EngineKind, Error, Io, IoOptions, LatencyHistogram, cached_pages_at,
};

/// Size of a caller's write.
const CALL_BYTES: usize = 64 << 10;

/// How often the page cache is looked at while a file is written.
const LOOK_EVERY_BYTES: u64 = 16 << 20;

/// What one engine did in its time.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// Of the writes and of the last call of each file.
    pub(super) calls: LatencyHistogram,
    /// The most pages of a file in the page cache at once; absent where the kernel can't tell.
    pub(super) cached_pages_max: Option<u64>,
}

impl Measured {
    pub(super) fn mib_per_second(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20) / self.seconds
    }
}

/// How to measure.
pub(super) struct Slices<'a> {
    pub(super) dir: &'a Path,
    pub(super) file_bytes: u64,
    /// Of each engine.
    pub(super) time: Duration,
    pub(super) cancel: &'a CancelToken,
    pub(super) quiet: bool,
}

impl Slices<'_> {
    /// A file with each engine in turn, until each has had its time.
    pub(super) fn run(&self, kinds: &[EngineKind]) -> anyhow::Result<Vec<(EngineKind, Measured)>> {
        let mut waiting = VecDeque::new();
        for &kind in kinds {
            if let Some(io) = self.open(kind)? {
                waiting.push_back((kind, io, Measured::default()));
            }
        }
        let bar = self.bar(waiting.len());
        let mut done = Vec::new();
        while let Some((kind, io, mut measured)) = waiting.pop_front() {
            bar.set_message(format!("writing: {kind}"));
            let began = Instant::now();
            self.slice(&io, &mut measured)?;
            bar.inc(u64::try_from(began.elapsed().as_millis()).unwrap_or(0));
            if measured.seconds < self.time.as_secs_f64() {
                waiting.push_back((kind, io, measured));
            } else {
                done.push((kind, measured));
            }
        }
        bar.finish_and_clear();
        done.sort_by_key(|(kind, _)| *kind);
        Ok(done)
    }

    /// Files by one engine; none where the policy that this was built with forbids it.
    fn open(&self, kind: EngineKind) -> anyhow::Result<Option<Io>> {
        let policy = if kind.is_direct() { Policy::Required } else { Policy::Prefer };
        match Io::probe_with(self.dir, policy, IoOptions::default().engine(kind)) {
            Ok(io) => Ok((io.engine() == kind).then_some(io)),
            Err(Error::NotUncached { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// One file, or as much of it as the engine's time allows.
    fn slice(&self, io: &Io, measured: &mut Measured) -> anyhow::Result<()> {
        let file = Removed(self.dir.join(format!(".tsdb-compact-probe-{}", std::process::id())));
        let left = self.time.saturating_sub(Duration::from_secs_f64(measured.seconds));
        let piece = piece();
        let began = Instant::now();
        // What looking takes is not the engine's.
        let mut looking = Duration::ZERO;
        let mut writer = io.create(&file.0, CreateOptions::default())?;
        let mut look_at = LOOK_EVERY_BYTES.min(self.file_bytes / 2);
        while writer.position() < self.file_bytes {
            anyhow::ensure!(!self.cancel.is_cancelled(), "cancelled");
            let call = Instant::now();
            writer.write_all(&piece)?;
            measured.calls.record(call.elapsed());
            if writer.position() >= look_at {
                looking += look(&file.0, measured)?;
                look_at += LOOK_EVERY_BYTES;
            }
            if began.elapsed() - looking > left {
                break;
            }
        }
        let call = Instant::now();
        let finished = writer.finish()?;
        measured.calls.record(call.elapsed());
        measured.seconds += (began.elapsed() - looking).as_secs_f64();
        measured.bytes += finished.len_bytes;
        measured.files += 1;
        look(&file.0, measured)?;
        Ok(())
    }

    fn bar(&self, engines: usize) -> ProgressBar {
        if self.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let millis = u64::try_from(self.time.as_millis()).unwrap_or(0);
        let bar = ProgressBar::new(millis * engines as u64);
        if let Ok(style) = ProgressStyle::with_template("{msg:20} {wide_bar} {percent} % eta {eta}")
        {
            bar.set_style(style);
        }
        bar
    }
}

/// Keeps the highest number of cached pages; returns how long that took.
fn look(file: &Path, measured: &mut Measured) -> Result<Duration, Error> {
    let began = Instant::now();
    if let Some(pages) = cached_pages_at(file)? {
        measured.cached_pages_max = measured.cached_pages_max.max(Some(pages.cached));
    }
    Ok(began.elapsed())
}

/// Bytes that no disk can compress.
fn piece() -> Vec<u8> {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(CALL_BYTES / 8).flatten().collect()
}

/// A file that goes when this does.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // It may never have come about.
        let _ = fs::remove_file(&self.0);
    }
}
