//! Files that grow while they are in use.

use super::VfsError;

/// A log: a file that is appended to for a long time, and whose every byte counts as soon as it is
/// written, since whoever opens it after a crash reads as far as it came.
///
/// Unlike a [`VfsFile`](super::VfsFile) it holds nothing back, and goes through the page cache.
/// Appends are the caller's to order; a sync may run beside them.
pub trait VfsLog: Send + Sync {
    /// Appends `bytes`: once this returns, the OS has them, and a killed process loses none. A
    /// power cut may take what was not synced, or a part of it.
    ///
    /// # Errors
    /// The OS refuses. Some of the bytes may be in the file; [`VfsLog::position`] is as before.
    fn append(&self, bytes: &[u8]) -> Result<(), VfsError>;

    /// Bytes appended so far.
    fn position(&self) -> u64;

    /// Makes durable what was appended before the call. The directory entry is the caller's to sync.
    ///
    /// # Errors
    /// The device failed. That is final: what was not durable before may be lost, though a later
    /// sync succeeds.
    fn sync(&self) -> Result<(), VfsError>;

    /// Syncs, and lets go of what the page cache holds of the file. Nothing is appended afterwards.
    ///
    /// # Errors
    /// Those of [`VfsLog::sync`].
    fn finish(&self) -> Result<(), VfsError>;
}
