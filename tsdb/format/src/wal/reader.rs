//! Puts fragments together.

use super::fragment::{Header, Kind, is_padding};
use super::{Compression, Decompressor, FRAGMENT_HEADER_BYTES, PAGE_BYTES};
use crate::checksum::crc32c;
use crate::{DecodeError, DecodeErrorKind, Rule};

/// Reads the records of one segment, page by page.
///
/// The caller holds the pages: [`SegmentReader::step`] is given the current one each time, until it
/// says [`Step::NextPage`]; once there is none, [`SegmentReader::finish`] tells whether the segment
/// ends where a record does.
///
/// Errors have offsets from the start of the segment. An [end of input](DecodeErrorKind::UnexpectedEof)
/// means that the file ends before the record does, as it does when a process is killed while it
/// writes; everything else is damage. After an error the segment is done;
/// [`SegmentReader::good_bytes`] is where the last whole record ends.
#[derive(Debug, Default)]
pub struct SegmentReader {
    /// Offset of the current page in the segment.
    page_offset: u64,
    /// How far the current page was read.
    in_page: usize,
    /// The record being put together: where it begins, how it is compressed, its data so far.
    open: Option<(u64, Compression)>,
    stored: Vec<u8>,
    found: Found,
    record_offset: u64,
    good_bytes: u64,
    /// Padding was met that only the end of a segment has.
    is_padded: bool,
    decompressor: Decompressor,
}

/// What [`SegmentReader::step`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A whole record, which [`SegmentReader::record`] has.
    Record,
    /// The page holds no more.
    NextPage,
}

/// Where the record is that was read last.
#[derive(Debug, Clone, Copy, Default)]
enum Found {
    /// Between these bytes of the page.
    InPage(usize, usize),
    /// Put together, as it was.
    Stored,
    /// Decompressed.
    #[default]
    Decompressed,
}

impl SegmentReader {
    /// One that refuses records of more than `record_bytes_max` bytes; otherwise as the default.
    #[must_use]
    pub fn with_limit(record_bytes_max: usize) -> Self {
        Self { decompressor: Decompressor::with_limit(record_bytes_max), ..Self::default() }
    }

    /// Starts on another segment, keeping its memory.
    pub fn reset(&mut self) {
        self.page_offset = 0;
        self.in_page = 0;
        self.open = None;
        self.stored.clear();
        self.good_bytes = 0;
        self.is_padded = false;
    }

    /// Where the last whole record ends, from the start of the segment, in bytes.
    #[must_use]
    pub fn good_bytes(&self) -> u64 {
        self.good_bytes
    }

    /// Where the record that was read last begins, from the start of the segment, in bytes.
    #[must_use]
    pub fn record_offset_bytes(&self) -> u64 {
        self.record_offset
    }

    /// The record that was read last, decompressed. `page` is the one it was read from.
    #[must_use]
    pub fn record<'a>(&'a self, page: &'a [u8]) -> &'a [u8] {
        match self.found {
            Found::InPage(start, end) => page.get(start..end).unwrap_or_default(),
            Found::Stored => &self.stored,
            Found::Decompressed => self.decompressor.decompressed(),
        }
    }

    /// Reads on to the next record that ends in `page`, which is the current one: [`PAGE_BYTES`], or
    /// fewer for the last one of the file.
    ///
    /// # Errors
    /// When the page breaks the format, or ends before a fragment does.
    pub fn step(&mut self, page: &[u8]) -> Result<Step, DecodeError> {
        while let Some((&flags, rest)) = page.get(self.in_page..).and_then(<[u8]>::split_first) {
            if is_padding(flags) || self.is_padded {
                self.skip_padding(flags, rest, page.len())?;
                break;
            }
            let fragment = self.offset_bytes();
            let (header, data) = self.fragment(page)?;
            let kind = self.in_sequence(header.kind, fragment)?;
            let (start, compression) = *self.open.get_or_insert((fragment, header.compression));
            self.in_page += FRAGMENT_HEADER_BYTES + data.len();
            if kind != Kind::Full {
                self.stored.extend_from_slice(data);
            }
            if kind.ends() {
                // 3.15 goes by the last fragment's flags; it writes the same ones to all.
                if compression != header.compression {
                    let rule = Rule::RecordCompression;
                    return Err(DecodeError::malformed(fragment, rule));
                }
                let is_full = kind == Kind::Full;
                self.found = match compression {
                    Compression::None if is_full => {
                        Found::InPage(self.in_page - data.len(), self.in_page)
                    }
                    Compression::None => Found::Stored,
                    _ => {
                        let stored = if is_full { data } else { &self.stored };
                        self.decompressor
                            .decompress(stored, compression)
                            .map_err(|error| error.shifted(start))?;
                        Found::Decompressed
                    }
                };
                self.open = None;
                self.record_offset = start;
                self.good_bytes = self.offset_bytes();
                return Ok(Step::Record);
            }
        }
        self.page_offset += PAGE_BYTES as u64;
        self.in_page = 0;
        Ok(Step::NextPage)
    }

    /// There are no more pages.
    ///
    /// # Errors
    /// [`DecodeErrorKind::UnexpectedEof`] if a record has begun and not ended, at its start.
    pub fn finish(&self) -> Result<(), DecodeError> {
        self.open.map_or(Ok(()), |(start, _)| Err(DecodeError::eof(start)))
    }

    fn offset_bytes(&self) -> u64 {
        self.page_offset + self.in_page as u64
    }

    /// Checks that the rest of the page is zeros, and that there is no place to go on behind them.
    fn skip_padding(
        &mut self,
        flags: u8,
        rest: &[u8],
        page_bytes: usize,
    ) -> Result<(), DecodeError> {
        if flags != 0 || rest.iter().any(|&byte| byte != 0) {
            let rule = Rule::PagePadding;
            return Err(DecodeError::malformed(self.offset_bytes(), rule));
        }
        self.is_padded |= page_bytes < PAGE_BYTES || rest.len() + 1 >= FRAGMENT_HEADER_BYTES;
        Ok(())
    }

    fn fragment<'a>(&self, page: &'a [u8]) -> Result<(Header, &'a [u8]), DecodeError> {
        let at = self.offset_bytes();
        // A file that ends here is torn; a full page has no excuse.
        let too_short = |needed: usize| {
            if self.in_page + needed > PAGE_BYTES {
                DecodeError::malformed(at, Rule::FragmentLength)
            } else {
                DecodeError::eof(at)
            }
        };
        let rest = page.get(self.in_page..).unwrap_or_default();
        let (header, rest) =
            rest.split_first_chunk().ok_or_else(|| too_short(FRAGMENT_HEADER_BYTES))?;
        let header = Header::parse(*header);
        let length = usize::from(header.length);
        let data = rest.get(..length).ok_or_else(|| too_short(FRAGMENT_HEADER_BYTES + length))?;
        let (expected, actual) = (header.crc, crc32c(data));
        if expected != actual {
            let kind = DecodeErrorKind::ChecksumMismatch { expected, actual };
            return Err(DecodeError::new(at, kind));
        }
        Ok((header, data))
    }

    fn in_sequence(&mut self, kind: Option<Kind>, at: u64) -> Result<Kind, DecodeError> {
        let kind = kind.ok_or_else(|| DecodeError::malformed(at, Rule::FragmentKind))?;
        match (kind.begins(), self.open.is_some()) {
            (true, true) => Err(DecodeError::malformed(at, Rule::RecordWithinRecord)),
            (false, false) => Err(DecodeError::malformed(at, Rule::RecordWithoutStart)),
            (true, false) => {
                self.stored.clear();
                Ok(kind)
            }
            (false, true) => Ok(kind),
        }
    }
}
