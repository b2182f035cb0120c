//! Cuts records into fragments.

use super::fragment::{self, Kind};
use super::{Compression, FRAGMENT_HEADER_BYTES, PAGE_BYTES};

const PAGE_LEN: u64 = PAGE_BYTES as u64;

/// Where in a segment the next fragment goes. It holds no bytes: those go to the caller's buffer,
/// and are the segment's, in order.
#[derive(Debug, Clone)]
pub struct SegmentWriter {
    pages_max: u64,
    position: u64,
}

impl SegmentWriter {
    /// At the start of a segment of `segment_bytes`, a multiple of the page; what is over is not
    /// used.
    #[must_use]
    pub fn new(segment_bytes: u64) -> Self {
        Self { pages_max: segment_bytes / PAGE_LEN, position: 0 }
    }

    /// Length of the segment so far, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether a record that takes `stored_bytes` fits into what is left. If not, the segment is to
    /// be [padded](Self::pad), and the record goes to a new one, whether it fits there or not.
    #[must_use]
    pub fn fits(&self, stored_bytes: usize) -> bool {
        let each = (PAGE_BYTES - FRAGMENT_HEADER_BYTES) as i128;
        let done = self.position / PAGE_LEN;
        let pages_behind = i128::from(self.pages_max) - i128::from(done) - 1;
        let here = self.left_in_page() as i128 - FRAGMENT_HEADER_BYTES as i128;
        stored_bytes as i128 <= here + each * pages_behind
    }

    /// Appends a record, compressed as said, to `out`. Returns the number of fragments.
    pub fn put(&mut self, out: &mut Vec<u8>, stored: &[u8], compression: Compression) -> u64 {
        let mut rest = stored;
        let mut fragments = 0;
        loop {
            let room = self.left_in_page() - FRAGMENT_HEADER_BYTES;
            let (part, behind) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            let kind = Kind::of(fragments == 0, behind.is_empty());
            fragment::put(out, kind, compression, part);
            self.position += (FRAGMENT_HEADER_BYTES + part.len()) as u64;
            if self.left_in_page() < FRAGMENT_HEADER_BYTES {
                self.pad(out);
            }
            rest = behind;
            fragments += 1;
            if rest.is_empty() {
                return fragments;
            }
        }
    }

    /// Appends zeros to the end of the page, if there is something in it.
    pub fn pad(&mut self, out: &mut Vec<u8>) {
        let left = self.left_in_page();
        if left < PAGE_BYTES {
            out.resize(out.len() + left, 0);
            self.position += left as u64;
        }
    }

    /// Never fewer bytes than a header takes, between calls.
    fn left_in_page(&self) -> usize {
        PAGE_BYTES - (self.position % PAGE_LEN) as usize
    }
}
