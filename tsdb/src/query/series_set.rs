//! The selected series of all blocks and heads, merged by their labels.

use tsdb_format::labels::Labels;

use super::cursor::{Cursor, LabelPairs};
use super::error::QueryError;
use super::range::TimeRange;
use super::raw_chunks::RawChunks;
use super::samples::Samples;
use crate::compact::heap::TieHeap;

/// The series that a query selected, in the order of their labels.
///
/// ```text
///  head      a     c  d        each a cursor, over mapped bytes or a view of the head
///  block        b  c           a heap orders them by labels
///            -----------
///            a  b  c  d        what has equal labels is one series, of several parts
/// ```
pub struct SeriesSet<'b> {
    cursors: Vec<Cursor<'b>>,
    heap: TieHeap,
    /// The cursors that stand on the current series, in the order in which they left the heap.
    current: Vec<u32>,
    /// The cursors that are to be advanced.
    pending: Vec<u32>,
    range: TimeRange,
}

impl<'b> SeriesSet<'b> {
    pub(super) fn new(cursors: Vec<Cursor<'b>>, range: TimeRange) -> Self {
        let mut pending: Vec<u32> = (0..cursors.len() as u32).collect();
        pending.reverse();
        Self { cursors, heap: TieHeap::default(), current: Vec::new(), pending, range }
    }

    /// Goes to the next series and lends it out; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When an entry of a block's index is damaged, or out of order. That series is left out of
    /// that block; the next call goes on behind it.
    #[expect(clippy::should_implement_trait, reason = "the series is lent, and can fail")]
    pub fn next(&mut self) -> Result<Option<Series<'_, 'b>>, QueryError> {
        while let Some(id) = self.current.pop() {
            self.pending.push(id);
        }
        while let Some(&id) = self.pending.last() {
            // After an error the cursor stays pending: the next call takes it further.
            let Some(cursor) = self.cursors.get_mut(id as usize) else { break };
            let more = cursor.advance()?;
            self.pending.pop();
            if more {
                let cursors = &self.cursors;
                self.heap.push(id, |a, b| labels_of(cursors, a) < labels_of(cursors, b));
            }
        }
        let cursors = &self.cursors;
        let less = |a, b| labels_of(cursors, a) < labels_of(cursors, b);
        let Some(first) = self.heap.pop(less) else { return Ok(None) };
        self.current.push(first);
        while let Some(id) = self.heap.peek()
            && labels_of(cursors, first) == labels_of(cursors, id)
        {
            self.heap.pop(less);
            self.current.push(id);
        }
        Ok(Some(Series { cursors: &self.cursors, parts: &self.current, range: self.range }))
    }
}

fn labels_of<'s, 'b>(cursors: &'s [Cursor<'b>], id: u32) -> &'s LabelPairs<'b> {
    cursors.get(id as usize).map(Cursor::labels).unwrap_or_default()
}

/// A series: its labels, and where its chunks are.
pub struct Series<'s, 'b> {
    cursors: &'s [Cursor<'b>],
    parts: &'s [u32],
    range: TimeRange,
}

impl<'s, 'b> Series<'s, 'b> {
    /// Pairs of name and value, by name. The strings live as long as the blocks and heads.
    #[must_use]
    pub fn labels(&self) -> &'s [(&'b str, &'b str)] {
        self.parts().next().map(Cursor::labels).unwrap_or_default()
    }

    /// A copy of the labels.
    #[must_use]
    pub fn owned_labels(&self) -> Labels {
        self.labels().iter().copied().collect()
    }

    /// Makes `samples` stand in front of the first sample of this series.
    ///
    /// `samples` does not borrow the series, only the blocks and heads, and its memory is used again.
    pub fn samples(&self, samples: &mut Samples<'b>) {
        samples.reset(self.parts(), self.range);
    }

    /// Makes `chunks` stand in front of the first chunk of this series.
    pub fn raw_chunks(&self, chunks: &mut RawChunks<'b>) {
        chunks.reset(self.parts());
    }

    fn parts(&self) -> impl Iterator<Item = &'s Cursor<'b>> {
        let cursors = self.cursors;
        self.parts.iter().filter_map(move |&id| cursors.get(id as usize))
    }
}
