//! How much is done at each `--size`.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Bytes behind the last whole block, so that every file ends in one that is not whole.
pub(crate) const ODD_BYTES: u64 = 13;

/// Scale of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    /// Seconds a repeat: for tests of the bench itself.
    Tiny,
    /// About a minute a repeat on a small machine: shows that all of it works.
    Small,
    /// About two minutes a repeat.
    Middle,
    /// Files larger than the memory of small machines; an hour and more.
    Large,
}

/// The numbers behind a [`Size`].
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Length of sequentially written files.
    pub(crate) file_bytes: u64,
    /// Sizes of the callers' writes.
    pub(crate) call_bytes: &'static [u64],
    /// Limit of the memory cgroup in the capped jitter case.
    pub(crate) jitter_cap_bytes: u64,
    /// What the synchronous writers of 4 KiB and of batches write.
    pub(crate) sync_bytes: u64,
    /// File that somebody else reads at random meanwhile.
    pub(crate) reader_bytes: u64,
    /// File of the random writes and of the random reads.
    pub(crate) random_bytes: u64,
    /// How long random I/O runs.
    pub(crate) random_seconds: f64,
    /// A neighbour's hot pages; its cgroup has twice as much.
    pub(crate) hot_bytes: u64,
    /// What is written beside the neighbour.
    pub(crate) load_bytes: u64,
    /// How long the neighbour idles before.
    pub(crate) idle: Duration,
    /// Series of each of the three blocks that are compacted beside it.
    pub(crate) series: u64,
}

impl Size {
    pub(crate) fn plan(self) -> Plan {
        match self {
            Self::Tiny => Plan {
                file_bytes: 4 * MIB,
                call_bytes: &[64 * KIB],
                jitter_cap_bytes: 24 * MIB,
                sync_bytes: MIB,
                reader_bytes: 8 * MIB,
                random_bytes: 8 * MIB,
                random_seconds: 0.1,
                hot_bytes: 4 * MIB,
                load_bytes: 16 * MIB,
                idle: Duration::from_millis(100),
                series: 1000,
            },
            Self::Small => Plan {
                file_bytes: 64 * MIB,
                call_bytes: &[64 * KIB, MIB],
                jitter_cap_bytes: 24 * MIB,
                sync_bytes: 4 * MIB,
                reader_bytes: 256 * MIB,
                random_bytes: 128 * MIB,
                random_seconds: 0.5,
                hot_bytes: 24 * MIB,
                load_bytes: 192 * MIB,
                idle: Duration::from_millis(500),
                series: 5000,
            },
            Self::Middle => Plan {
                file_bytes: 512 * MIB,
                call_bytes: &[4 * KIB, 64 * KIB, MIB, 8 * MIB],
                jitter_cap_bytes: 128 * MIB,
                sync_bytes: 64 * MIB,
                reader_bytes: 256 * MIB,
                random_bytes: 512 * MIB,
                random_seconds: 1.0,
                hot_bytes: 64 * MIB,
                load_bytes: 1024 * MIB,
                idle: Duration::from_secs(1),
                series: 60_000,
            },
            Self::Large => Plan {
                file_bytes: 4096 * MIB,
                call_bytes: &[4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB],
                jitter_cap_bytes: 512 * MIB,
                sync_bytes: 512 * MIB,
                reader_bytes: 256 * MIB,
                random_bytes: 4096 * MIB,
                random_seconds: 10.0,
                hot_bytes: 256 * MIB,
                load_bytes: 8192 * MIB,
                idle: Duration::from_secs(5),
                series: 400_000,
            },
        }
    }
}

/// `64 KiB`, `8 MiB`.
pub(crate) fn show_bytes(bytes: u64) -> String {
    if bytes >= MIB { format!("{} MiB", bytes / MIB) } else { format!("{} KiB", bytes / KIB) }
}
