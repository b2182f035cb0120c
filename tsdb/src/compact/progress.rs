//! What a running compaction tells others, and how others stop it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::error::CompactError;

/// Stops a compaction between two batches. Clones stop together.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks what runs with this token to stop. It leaves nothing behind.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn check(&self) -> Result<(), CompactError> {
        if self.is_cancelled() { Err(CompactError::Cancelled) } else { Ok(()) }
    }
}

/// What a compaction is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Phase {
    /// Opening sources.
    #[default]
    Open,
    /// Merging symbol tables.
    Symbols,
    /// Merging series and copying chunks.
    Copy,
    /// Writing postings.
    Index,
    /// Reading the output back.
    Verify,
    /// Publishing.
    Publish,
}

const PHASES: [Phase; 6] =
    [Phase::Open, Phase::Symbols, Phase::Copy, Phase::Index, Phase::Verify, Phase::Publish];

/// Counters of the compaction at hand, to be read from any thread. Bytes are those of the sources'
/// chunk files; of the output's while it is read back.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    planned_bytes: AtomicU64,
    done_bytes: AtomicU64,
    series: AtomicU64,
}

impl Progress {
    /// What is going on.
    #[must_use]
    pub fn phase(&self) -> Phase {
        PHASES.get(usize::from(self.phase.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// Bytes that the compaction at hand will read; 0 until it is known.
    #[must_use]
    pub fn planned_bytes(&self) -> u64 {
        self.planned_bytes.load(Ordering::Relaxed)
    }

    /// How many of them are done.
    #[must_use]
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }

    /// Series written so far.
    #[must_use]
    pub fn series(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self, phase: Phase) {
        let number = PHASES.iter().position(|known| *known == phase).unwrap_or(0);
        self.phase.store(number as u8, Ordering::Relaxed);
        tracing::debug!(?phase, "compaction goes on");
    }

    pub(super) fn begin(&self, planned_bytes: u64) {
        self.planned_bytes.store(planned_bytes, Ordering::Relaxed);
        self.done_bytes.store(0, Ordering::Relaxed);
        self.series.store(0, Ordering::Relaxed);
    }

    pub(super) fn add(&self, bytes: u64, series: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.series.fetch_add(series, Ordering::Relaxed);
    }

    pub(super) fn finish(&self) {
        self.done_bytes.store(self.planned_bytes(), Ordering::Relaxed);
    }
}
