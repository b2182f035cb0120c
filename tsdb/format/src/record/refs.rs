//! References that records hold: to series and chunks of the head.

use std::fmt;

/// A series of the head: a number that is never used again while the log that names it lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadSeriesRef(u64);

impl HeadSeriesRef {
    /// The number, as records have it.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for HeadSeriesRef {
    fn from(reference: u64) -> Self {
        Self(reference)
    }
}

impl From<HeadSeriesRef> for u64 {
    fn from(reference: HeadSeriesRef) -> Self {
        reference.0
    }
}

impl fmt::Display for HeadSeriesRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a chunk begins in `chunks_head`: number of the file in the upper half, offset in the
/// lower. 0 is no chunk: in a marker it stands for the first one of a series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadChunkRef(u64);

impl HeadChunkRef {
    /// The chunk at `offset` bytes of the file of this number, which counts from 1.
    #[must_use]
    pub fn new(file: u32, offset: u32) -> Self {
        Self(u64::from(file) << 32 | u64::from(offset))
    }

    /// The number in the file's name.
    #[must_use]
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Offset in bytes from the start of the file.
    #[must_use]
    pub fn offset(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    /// As it stands in a marker.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for HeadChunkRef {
    fn from(reference: u64) -> Self {
        Self(reference)
    }
}

impl From<HeadChunkRef> for u64 {
    fn from(reference: HeadChunkRef) -> Self {
        reference.0
    }
}

/// File name and offset, as in `000001+8`.
impl fmt::Display for HeadChunkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}+{}", self.file(), self.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_reference_names_file_and_offset() {
        let reference = HeadChunkRef::new(2, 77);
        assert_eq!((reference.file(), reference.offset()), (2, 77));
        assert_eq!(reference.to_string(), "000002+77");
        assert_eq!(HeadChunkRef::from(reference.get()), reference);
    }
}
