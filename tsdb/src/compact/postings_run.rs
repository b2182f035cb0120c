//! Reading a run of postings (see `postings` for its bytes).

use tsdb_format::varint::uvarint;
use uncached_io::AlignedBuf;

use super::error::CompactError;
use super::spill::Spilled;

/// How many references are decoded at a time.
const BATCH: usize = 1024;

/// A cursor over the groups of a run.
pub(super) struct RunReader<'a> {
    run: &'a Spilled,
    buf: AlignedBuf,
    window: std::ops::Range<usize>,
    /// Offset in the run of the byte behind the window.
    next_offset: u64,
    window_bytes: usize,
    name: u64,
    /// The current group: its value plus one, its count, and how far it was read.
    value: u64,
    count: u64,
    left: u64,
    last: u64,
    done: bool,
}

impl<'a> RunReader<'a> {
    pub(super) fn new(run: &'a Spilled, window_bytes: usize) -> Result<Self, CompactError> {
        let mut reader = Self {
            run,
            buf: AlignedBuf::default(),
            window: 0..0,
            next_offset: 0,
            window_bytes,
            name: 0,
            value: 0,
            count: 0,
            left: 0,
            last: 0,
            done: false,
        };
        reader.next_name()?;
        Ok(reader)
    }

    /// (name + 1, value + 1) of the current group, (0, 1) for the list of all series.
    pub(super) fn key(&self) -> Option<(u64, u64)> {
        (!self.done).then_some((self.name, self.value))
    }

    /// How many references the current group has.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next references of the group, in `out`; false when there are no more.
    pub(super) fn references(&mut self, out: &mut Vec<u32>) -> Result<bool, CompactError> {
        out.clear();
        let n = self.left.min(BATCH as u64);
        for _ in 0..n {
            self.last += self.uvarint()?;
            out.push(self.last as u32);
        }
        self.left -= n;
        Ok(n > 0)
    }

    /// Moves to the next group; the current one must have been read.
    pub(super) fn next_group(&mut self) -> Result<(), CompactError> {
        assert_eq!(self.left, 0, "a group is read before the next one");
        match self.uvarint()? {
            0 => self.next_name(),
            value => {
                self.value = value;
                self.count = self.uvarint()?;
                self.left = self.count;
                self.last = 0;
                Ok(())
            }
        }
    }

    fn next_name(&mut self) -> Result<(), CompactError> {
        if self.window.is_empty() && self.next_offset == self.run.len_bytes() {
            self.done = true;
            return Ok(());
        }
        self.name = self.uvarint()?;
        self.next_group()
    }

    #[inline]
    fn uvarint(&mut self) -> Result<u64, CompactError> {
        if let Some((value, len)) = uvarint(self.bytes()) {
            self.window.start += len;
            return Ok(value);
        }
        self.refill()?;
        let (value, len) = uvarint(self.bytes()).ok_or(CompactError::SpillDamaged)?;
        self.window.start += len;
        Ok(value)
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self.run.memory() {
            Some(bytes) => &bytes[self.window.clone()],
            None => &self.buf.as_slice()[self.window.clone()],
        }
    }

    #[cold]
    fn refill(&mut self) -> Result<(), CompactError> {
        let offset = self.next_offset - self.window.len() as u64;
        if let Some(bytes) = self.run.memory() {
            self.window = offset as usize..bytes.len();
            self.next_offset = bytes.len() as u64;
            return Ok(());
        }
        let bytes = self.run.read(offset, self.window_bytes, &mut self.buf)?;
        let (base, len) = (bytes.as_ptr() as usize, bytes.len());
        let start = base - self.buf.as_slice().as_ptr() as usize;
        self.window = start..start + len;
        self.next_offset = offset + len as u64;
        Ok(())
    }
}
