//! Full chunks on their way from memory to `chunks_head`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::series::FullChunk;

/// From this many bytes on, each commit writes a part of what waits: what it adds, and [`MORE_BYTES`].
/// All at once would make one commit in hundreds a slow one.
pub(super) const QUEUE_BYTES_MAX: usize = 1 << 20;
/// From this many bytes on, a commit waits for who is writing.
const CROWDED_BYTES: usize = 4 * QUEUE_BYTES_MAX;
const MORE_BYTES: usize = 16 << 10;

/// Chunks that wait to be written, in the order in which they became full.
#[derive(Default)]
pub(super) struct Queue {
    chunks: Mutex<VecDeque<FullChunk>>,
    bytes: AtomicUsize,
    /// Held by who writes, so that chunks of a series are written in order.
    writing: Mutex<()>,
}

impl Queue {
    /// Adds chunks; how many bytes of what waits now are to be written at once.
    pub(super) fn push(&self, chunks: &mut Vec<FullChunk>) -> usize {
        let bytes: usize = chunks.iter().map(|chunk| chunk.data.len()).sum();
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).extend(chunks.drain(..));
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting < QUEUE_BYTES_MAX { 0 } else { bytes + MORE_BYTES }
    }

    /// Calls `ask` while no chunk is on its way to a file.
    pub(super) fn between_writes<T>(&self, ask: impl FnOnce() -> T) -> T {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        ask()
    }

    /// Hands out all that waits, one by one and in order, until `write` fails; that chunk waits on.
    pub(super) fn drain<E>(
        &self,
        write: impl FnMut(&FullChunk) -> Result<(), E>,
    ) -> Result<u64, E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.hand_out(usize::MAX, write)
    }

    /// The same with the oldest chunks, of `bytes` or a little more; or nothing, while somebody else
    /// writes.
    pub(super) fn drain_some<E>(
        &self,
        bytes: usize,
        write: impl FnMut(&FullChunk) -> Result<(), E>,
    ) -> Result<u64, E> {
        let _writing = match self.writing.try_lock() {
            Ok(writing) => writing,
            Err(_) if self.bytes.load(Ordering::Relaxed) < CROWDED_BYTES => return Ok(0),
            Err(_) => self.writing.lock().unwrap_or_else(PoisonError::into_inner),
        };
        self.hand_out(bytes, write)
    }

    fn hand_out<E>(
        &self,
        bytes: usize,
        mut write: impl FnMut(&FullChunk) -> Result<(), E>,
    ) -> Result<u64, E> {
        let (mut chunks, mut handed) = (0, 0);
        while handed < bytes {
            let next = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(chunk) = next else { break };
            if let Err(error) = write(&chunk) {
                let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
                chunks.push_front(chunk);
                return Err(error);
            }
            self.bytes.fetch_sub(chunk.data.len(), Ordering::Relaxed);
            handed += chunk.data.len();
            chunks += 1;
        }
        Ok(chunks)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tsdb_format::chunkenc::Encoding;

    use super::*;

    fn chunk(number: u16) -> FullChunk {
        let data = Arc::from(vec![0; 1000]);
        let (min_time, max_time) = (0, 0);
        FullChunk {
            slot: 0,
            series_ref: 1,
            number,
            min_time,
            max_time,
            encoding: Encoding::Xor,
            data,
        }
    }

    /// Adds chunks as a commit does, until some are to be written.
    fn fill(queue: &Queue) -> (u16, usize) {
        let pushed = (0..).map(|number| (number, queue.push(&mut vec![chunk(number)])));
        pushed.into_iter().find(|(_, at_once)| *at_once > 0).unwrap()
    }

    #[test]
    fn a_commit_writes_little_more_than_it_adds() {
        let queue = Queue::default();
        let (last, at_once) = fill(&queue);
        assert!(usize::from(last) * 1000 >= QUEUE_BYTES_MAX - 1000, "{last}");
        let mut numbers = Vec::new();
        let write = |chunk: &FullChunk| {
            numbers.push(chunk.number);
            Ok::<_, ()>(())
        };
        let written = queue.drain_some(at_once, write).unwrap();
        assert!(
            (MORE_BYTES / 1000..=MORE_BYTES / 1000 + 3).contains(&(written as usize)),
            "{written}"
        );
        assert_eq!(numbers, (0..written as u16).collect::<Vec<_>>(), "the oldest, in order");
        let mut rest = 0;
        let count = |_: &FullChunk| {
            rest += 1;
            Ok::<_, ()>(())
        };
        queue.drain(count).unwrap();
        assert_eq!(written + rest, u64::from(last) + 1);
    }

    #[test]
    fn a_commit_does_not_wait_for_who_is_writing() {
        let queue = Queue::default();
        let (_, at_once) = fill(&queue);
        queue.between_writes(|| {
            let nobody = |_: &FullChunk| -> Result<(), ()> { panic!("somebody else is writing") };
            assert_eq!(queue.drain_some(at_once, nobody), Ok(0));
        });
    }
}
