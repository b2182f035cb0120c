//! How files are written.

use tsdb_format::head_chunks::FILE_BYTES_MAX;

/// How files are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkFilesOptions {
    /// A file ends in front of the chunk that would make it longer than this, in bytes.
    pub(crate) file_bytes_max: u64,
    /// Bytes that wait for company before they are written.
    pub(crate) write_bytes: u64,
    /// Bytes that are written before they are mapped.
    pub(crate) map_bytes: usize,
    /// Bytes that may wait where writing fails or a sync takes long; then chunks are refused.
    pub(crate) waiting_bytes_max: u64,
    /// Whether a full file is synced by a thread of its own.
    pub(crate) sync_aside: bool,
    /// How many threads read files at start-up.
    pub(crate) threads: usize,
}

impl Default for ChunkFilesOptions {
    fn default() -> Self {
        Self {
            file_bytes_max: FILE_BYTES_MAX,
            write_bytes: 64 << 10,
            map_bytes: 1 << 20,
            waiting_bytes_max: 16 << 20,
            sync_aside: true,
            threads: 1,
        }
    }
}
