//! Records on their way to the workers.

use std::ops::Range;

use tsdb_format::record::{HeadChunkRef, HeadSeriesRef};

use super::refs::Refs;
use crate::wal::Position;

/// A batch ends once it has so many bytes.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// What workers do, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// The bytes of all records.
    bytes: Vec<u8>,
    /// The references as they were when the batch was complete.
    pub(super) refs: Refs,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// Take the samples of a record; where it stands.
    Record(Range<usize>, Position),
    /// A series begins again, with the chunks of this reference.
    Begin { slot: u32, series_ref: HeadSeriesRef },
    /// A series was dropped.
    Drop { slot: u32 },
    /// What a series' open out-of-order chunk holds may be in this chunk of a file, or, if it is 0, in
    /// any.
    Mapped { slot: u32, chunk_ref: HeadChunkRef },
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.refs = Refs::default();
    }

    pub(super) fn push_record(&mut self, record: &[u8], position: Position) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.items.push(Item::Record(start..self.bytes.len(), position));
    }

    /// The bytes of a record.
    pub(super) fn record(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it is large enough to be sent.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() + self.items.len() * size_of::<Item>() >= BATCH_BYTES
    }
}
