//! Full chunks on their way from memory to `chunks_head`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::series::FullChunk;

/// From this many bytes on, a commit writes what waits.
pub(super) const QUEUE_BYTES_MAX: usize = 1 << 20;

/// Chunks in the order in which they became full.
#[derive(Default)]
pub(super) struct Queue {
    chunks: Mutex<VecDeque<FullChunk>>,
    bytes: AtomicUsize,
    /// Held by who writes, so that chunks of a series are written in order.
    writing: Mutex<()>,
}

impl Queue {
    /// Adds chunks; how many bytes wait now.
    pub(super) fn push(&self, chunks: &mut Vec<FullChunk>) -> usize {
        let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).extend(chunks.drain(..));
        self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Calls `ask` while no chunk is on its way to a file.
    pub(super) fn between_writes<T>(&self, ask: impl FnOnce() -> T) -> T {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        ask()
    }

    /// Hands out what waits, one by one and in order, until `write` fails; that chunk waits on.
    pub(super) fn drain<E>(
        &self,
        mut write: impl FnMut(&FullChunk) -> Result<(), E>,
    ) -> Result<u64, E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut written = 0;
        loop {
            let next = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(chunk) = next else { return Ok(written) };
            if let Err(error) = write(&chunk) {
                let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
                chunks.push_front(chunk);
                return Err(error);
            }
            self.bytes.fetch_sub(chunk.data.len(), Ordering::Relaxed);
            written += 1;
        }
    }
}
