//! The tombstones of a source, in the order of its series.
//!
//! A tombstones file is in no order, and may be larger than the memory there is. It is read through
//! a window and sorted: in memory while all files together are small ([`Shares`]), in sorted runs
//! in the temporary block past that. From there it is only read front to back, beside the source's
//! series, whose references ascend.
//!
//! ```text
//! stone: | series - series before <uvarint> | min | max - min <uvarint> |
//! min:   of a series' first stone <varint>, of others min - max before <uvarint>
//! ```
//!
//! Stones of a series are disjoint, do not touch, and ascend.
//!
//! [`Shares`]: super::budget::Shares

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use tsdb_format::tombstones::Interval;
use tsdb_format::varint::{put_uvarint, put_varint, uvarint, varint};
use uncached_io::AlignedBuf;

use super::error::CompactError;
use super::spill::{SpillOptions, SpillWriter, Spilled};
use super::stone_file::StoneFile;
use crate::vfs::{Vfs, VfsError};

/// The longest stone: three varints.
const STONE_BYTES_MAX: usize = 30;
/// Bytes of a stone while it is sorted.
pub(super) const SORTED_STONE_BYTES: usize = size_of::<Stone>();
/// How many runs are merged at a time.
const RUNS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;

/// Series reference, first and last deleted millisecond.
pub(super) type Stone = (u64, i64, i64);

/// Where runs go, and when.
pub(super) struct StoneSpill {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) dir: PathBuf,
    /// Stones that are sorted in memory at a time.
    pub(super) stones_max: usize,
    /// Memory for reading runs, in bytes.
    pub(super) merge_bytes: usize,
}

/// Sorted stones of one source.
pub(super) struct Stones {
    bytes: Spilled,
}

impl Stones {
    /// Of a file that is small enough to be sorted, and to stay, in memory.
    pub(super) fn load(mut file: StoneFile<'_>) -> Result<Self, CompactError> {
        let mut stones = Vec::new();
        while let Some(stone) = file.next_stone()? {
            stones.push(stone);
        }
        stones.sort_unstable();
        Ok(encode_sorted(stones, SpillWriter::in_memory())?)
    }

    /// Of a file of any size; `name` tells its runs from others.
    pub(super) fn sort(
        mut file: StoneFile<'_>,
        spill: &StoneSpill,
        name: u32,
    ) -> Result<Self, CompactError> {
        let mut runs = VecDeque::new();
        let mut stones = Vec::with_capacity(spill.stones_max);
        let mut number = 0u32;
        loop {
            let stone = file.next_stone()?;
            if stone.is_none() || stones.len() == spill.stones_max {
                stones.sort_unstable();
                runs.push_back(encode_sorted(stones.drain(..), spill.create(name, &mut number))?);
            }
            match stone {
                Some(stone) => stones.push(stone),
                None => break,
            }
        }
        drop(stones);
        while runs.len() > 1 {
            let merged: Vec<Arc<Self>> =
                runs.drain(..runs.len().min(RUNS_MAX)).map(Arc::new).collect();
            let window_bytes = (spill.merge_bytes / merged.len()).max(4 << 10) & !4095;
            runs.push_back(merge(&merged, window_bytes, spill.create(name, &mut number))?);
            for run in merged.into_iter().filter_map(Arc::into_inner) {
                run.bytes.remove()?;
            }
        }
        Ok(runs.pop_front().unwrap_or(Self { bytes: SpillWriter::in_memory().finish()? }))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.len_bytes() == 0
    }
}

impl StoneSpill {
    fn create(&self, name: u32, number: &mut u32) -> SpillWriter {
        let path = self.dir.join(format!("tombstones-{name:06}-{number:04}"));
        *number += 1;
        let options = SpillOptions { path, memory_bytes_max: 0, buffer_bytes: BUFFER_BYTES };
        SpillWriter::new(Arc::clone(&self.vfs), options)
    }
}

fn encode_sorted(
    stones: impl IntoIterator<Item = Stone>,
    out: SpillWriter,
) -> Result<Stones, VfsError> {
    let mut encoder = StoneEncoder { out, scratch: Vec::new(), last: None, open: None };
    for stone in stones {
        encoder.push(stone)?;
    }
    encoder.finish()
}

fn merge(
    runs: &[Arc<Stones>],
    window_bytes: usize,
    out: SpillWriter,
) -> Result<Stones, CompactError> {
    let mut encoder = StoneEncoder { out, scratch: Vec::new(), last: None, open: None };
    let mut cursors: Vec<StoneCursor> =
        runs.iter().map(|run| StoneCursor::new(Arc::clone(run), window_bytes)).collect();
    let mut heap = BinaryHeap::new();
    for (at, cursor) in cursors.iter_mut().enumerate() {
        heap.extend(cursor.next_stone()?.map(|stone| Reverse((stone, at))));
    }
    while let Some(Reverse((stone, at))) = heap.pop() {
        encoder.push(stone)?;
        if let Some(cursor) = cursors.get_mut(at) {
            heap.extend(cursor.next_stone()?.map(|stone| Reverse((stone, at))));
        }
    }
    Ok(encoder.finish()?)
}

/// Encodes sorted stones; those of a series that overlap or touch become one.
struct StoneEncoder {
    out: SpillWriter,
    scratch: Vec<u8>,
    /// Series and end of the last stone that was encoded.
    last: Option<(u64, i64)>,
    open: Option<Stone>,
}

impl StoneEncoder {
    fn push(&mut self, stone: Stone) -> Result<(), VfsError> {
        if let Some(open) = &mut self.open
            && open.0 == stone.0
            && stone.1 <= open.2.saturating_add(1)
        {
            open.2 = open.2.max(stone.2);
            return Ok(());
        }
        self.write_open()?;
        self.open = Some(stone);
        Ok(())
    }

    fn write_open(&mut self) -> Result<(), VfsError> {
        let Some((series, min, max)) = self.open.take() else { return Ok(()) };
        let (last_series, last_max) = self.last.unwrap_or((0, 0));
        self.scratch.clear();
        put_uvarint(&mut self.scratch, series - last_series);
        if series == last_series {
            put_uvarint(&mut self.scratch, min.wrapping_sub(last_max) as u64);
        } else {
            put_varint(&mut self.scratch, min);
        }
        put_uvarint(&mut self.scratch, max.wrapping_sub(min) as u64);
        self.last = Some((series, max));
        self.out.write_all(&self.scratch)
    }

    fn finish(mut self) -> Result<Stones, VfsError> {
        self.write_open()?;
        Ok(Stones { bytes: self.out.finish()? })
    }
}

/// A place in front of a stone.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StonePlace {
    offset: u64,
    series: u64,
    last_max: i64,
}

/// Reads stones front to back, from any [`StonePlace`].
pub(super) struct StoneCursor {
    stones: Arc<Stones>,
    window_bytes: usize,
    buf: AlignedBuf,
    /// Where in `buf` the bytes from offset `start` on lie.
    data: std::ops::Range<usize>,
    start: u64,
    place: StonePlace,
}

impl StoneCursor {
    pub(super) fn new(stones: Arc<Stones>, window_bytes: usize) -> Self {
        Self {
            stones,
            window_bytes,
            buf: AlignedBuf::default(),
            data: 0..0,
            start: 0,
            place: StonePlace::default(),
        }
    }

    /// Goes on from `place`.
    pub(super) fn resume(&mut self, place: StonePlace) {
        self.place = place;
    }

    /// Skips the stones of series in front of `series_ref`; where those of `series_ref` begin.
    pub(super) fn seek(&mut self, series_ref: u64) -> Result<StonePlace, CompactError> {
        while let Some((stone, behind)) = self.peek()? {
            if stone.0 >= series_ref {
                break;
            }
            self.place = behind;
        }
        Ok(self.place)
    }

    /// The next stone if it is one of `series_ref`.
    pub(super) fn next_of(&mut self, series_ref: u64) -> Result<Option<Interval>, CompactError> {
        let Some(((series, min, max), behind)) = self.peek()? else { return Ok(None) };
        if series != series_ref {
            return Ok(None);
        }
        self.place = behind;
        Ok(Some(Interval { min, max }))
    }

    fn next_stone(&mut self) -> Result<Option<Stone>, CompactError> {
        let next = self.peek()?;
        if let Some((_, behind)) = next {
            self.place = behind;
        }
        Ok(next.map(|(stone, _)| stone))
    }

    /// The next stone, and the place behind it.
    fn peek(&mut self) -> Result<Option<(Stone, StonePlace)>, CompactError> {
        let StonePlace { offset, series: last_series, last_max } = self.place;
        if offset >= self.stones.bytes.len_bytes() {
            return Ok(None);
        }
        let decode = |bytes: &[u8]| -> Option<(Stone, usize)> {
            let (delta, a) = uvarint(bytes)?;
            let series = last_series.checked_add(delta)?;
            let (min, b) = if delta == 0 {
                let (gap, b) = uvarint(bytes.get(a..)?)?;
                (last_max.wrapping_add_unsigned(gap), b)
            } else {
                varint(bytes.get(a..)?)?
            };
            let (len, c) = uvarint(bytes.get(a + b..)?)?;
            Some(((series, min, min.wrapping_add_unsigned(len)), a + b + c))
        };
        let (stone, len) = decode(self.bytes(offset)?).ok_or(CompactError::SpillDamaged)?;
        let (series, _, last_max) = stone;
        let behind = StonePlace { offset: offset + len as u64, series, last_max };
        Ok(Some((stone, behind)))
    }

    /// A whole stone's bytes, at least, from `offset` on, or all that are left.
    fn bytes(&mut self, offset: u64) -> Result<&[u8], VfsError> {
        if self.stones.bytes.memory().is_some() {
            let memory = self.stones.bytes.memory().unwrap_or_default();
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            return Ok(memory.get(at..).unwrap_or_default());
        }
        let here = offset.checked_sub(self.start).map(|at| at as usize);
        let end = self.start + self.data.len() as u64;
        let holds = here.is_some_and(|at| at + STONE_BYTES_MAX <= self.data.len())
            || here.is_some() && end == self.stones.bytes.len_bytes();
        if !holds {
            self.data = 0..0;
            let bytes = self.stones.bytes.read(offset, self.window_bytes, &mut self.buf)?;
            let (base, len) = (bytes.as_ptr() as usize, bytes.len());
            let begin = base - self.buf.as_slice().as_ptr() as usize;
            (self.start, self.data) = (offset, begin..begin + len);
        }
        let at = self.data.start + (offset - self.start) as usize;
        Ok(self.buf.as_slice().get(at..self.data.end).unwrap_or_default())
    }
}
