//! How a log is written.

use std::time::Duration;

use tsdb_format::wal::{Compression, SEGMENT_BYTES};

/// When what was logged is made durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// A segment when it is done, as Prometheus does. A killed process loses nothing, a power cut
    /// what the kernel had not written by itself.
    #[default]
    None,
    /// Before [`Wal::log`](super::Wal::log) returns. Commits that wait at the same time share one
    /// sync.
    EveryCommit,
    /// This long after it was logged, at most, and a segment when it is done.
    Interval(Duration),
}

/// How a log is written. Start from [`WalOptions::default`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct WalOptions {
    /// How records are compressed; snappy by default, as in Prometheus.
    pub compression: Compression,
    /// Length of a segment in bytes, a multiple of 32 KiB; a long record may exceed it.
    pub segment_bytes: u64,
    /// When what was logged is made durable.
    pub sync: SyncPolicy,
}

impl Default for WalOptions {
    fn default() -> Self {
        let (compression, sync) = (Compression::default(), SyncPolicy::default());
        Self { compression, segment_bytes: SEGMENT_BYTES, sync }
    }
}

impl WalOptions {
    /// With records compressed so.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// With segments of `bytes`.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Durable when `sync` says.
    #[must_use]
    pub fn sync(mut self, sync: SyncPolicy) -> Self {
        self.sync = sync;
        self
    }
}
