//! A head chunk file as a whole: its header, and one chunk behind the other.

use super::record::{HeadChunk, RECORD_BYTES_MIN, decode_head_chunk};
use crate::{DecodeError, DecodeErrorKind, Quantity};

/// The first four bytes of a file.
pub const HEAD_CHUNKS_MAGIC: u32 = 0x0130_BC91;
/// The only version of files there is.
pub const HEAD_CHUNKS_VERSION: u8 = 1;
/// Length of a file's header in bytes; the first chunk begins there.
pub const HEADER_BYTES: usize = 8;
/// A file ends in front of the chunk that would make it longer than this.
pub const FILE_BYTES_MAX: u64 = 128 << 20;

/// The header of a file.
#[must_use]
pub fn head_chunks_header() -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = HEAD_CHUNKS_MAGIC.to_be_bytes();
    [a, b, c, d, HEAD_CHUNKS_VERSION, 0, 0, 0]
}

/// Checks that a file begins with a header that this crate reads.
///
/// # Errors
/// When it is shorter, has another magic number or another version.
pub fn check_head_chunks_header(file: &[u8]) -> Result<(), DecodeError> {
    let Some([a, b, c, d, version, ..]) = file.first_chunk::<HEADER_BYTES>() else {
        return Err(DecodeError::eof(file.len() as u64));
    };
    let found = u32::from_be_bytes([*a, *b, *c, *d]);
    if found != HEAD_CHUNKS_MAGIC {
        let kind = DecodeErrorKind::InvalidMagic { expected: HEAD_CHUNKS_MAGIC, found };
        return Err(DecodeError::new(0, kind));
    }
    if *version != HEAD_CHUNKS_VERSION {
        return Err(DecodeError::new(4, DecodeErrorKind::UnsupportedVersion(*version)));
    }
    Ok(())
}

/// The chunks of a file, in the order in which they stand there, each checksum checked.
#[derive(Debug, Clone)]
pub struct HeadChunks<'a> {
    file: &'a [u8],
    /// Where the next chunk begins, in bytes from the start of the file.
    offset: usize,
}

impl<'a> HeadChunks<'a> {
    /// Begins at the first chunk of `file`.
    ///
    /// # Errors
    /// Those of [`check_head_chunks_header`].
    pub fn new(file: &'a [u8]) -> Result<Self, DecodeError> {
        check_head_chunks_header(file)?;
        Ok(Self { file, offset: HEADER_BYTES })
    }

    /// The next chunk and where it begins, in bytes from the start of the file; `None` where the
    /// file or its content ends.
    ///
    /// # Errors
    /// When a chunk is damaged or cut off. It can't be told where the next one begins, so this
    /// returns the same error from then on; [`HeadChunks::offset`] stays in front of the damage.
    #[inline]
    pub fn next_chunk(&mut self) -> Result<Option<(u32, HeadChunk<'a>)>, DecodeError> {
        let at = self.offset;
        let rest = self.file.get(at..).unwrap_or_default();
        if rest.len() < RECORD_BYTES_MIN {
            if rest.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            return Err(DecodeError::eof(self.file.len() as u64));
        }
        let too_far = || {
            let (found, limit) = (at as u64, u32::MAX.into());
            DecodeError::new(
                at as u64,
                DecodeErrorKind::TooLarge { what: Quantity::FileOffset, found, limit },
            )
        };
        let offset = u32::try_from(at).map_err(|_| too_far())?;
        let shifted = |error: DecodeError| error.shifted(at as u64);
        let record = match decode_head_chunk(rest) {
            // The times are all there, because the remainder is long enough.
            _ if is_end(rest) => return Ok(None),
            record => record.map_err(shifted)?,
        };
        record.verify().map_err(shifted)?;
        self.offset += record.record_bytes;
        Ok(Some((offset, record.chunk)))
    }

    /// Where the next chunk begins or would begin, in bytes from the start of the file: what is in
    /// front of that is good.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset as u64
    }
}

/// Whether the content ends here: series reference and times are zero.
fn is_end(rest: &[u8]) -> bool {
    rest.first_chunk::<24>().is_some_and(|zeros| *zeros == [0; 24])
}

#[cfg(test)]
mod tests {
    use super::super::encode_head_chunk;
    use super::*;
    use proptest::prelude::*;

    fn chunk(series_ref: u64, data: &[u8]) -> HeadChunk<'_> {
        let series_ref = series_ref.into();
        let (min_time, max_time) = (10, 20);
        HeadChunk { series_ref, min_time, max_time, encoding: 1, is_out_of_order: false, data }
    }

    fn read(file: &[u8]) -> (Vec<u64>, u64, Option<DecodeError>) {
        let mut chunks = HeadChunks::new(file).unwrap();
        let mut refs = Vec::new();
        loop {
            match chunks.next_chunk() {
                Ok(Some((_, chunk))) => refs.push(chunk.series_ref.get()),
                Ok(None) => return (refs, chunks.offset(), None),
                Err(error) => {
                    assert_eq!(chunks.next_chunk(), Err(error.clone()), "stays there");
                    return (refs, chunks.offset(), Some(error));
                }
            }
        }
    }

    fn file_of(count: u64) -> Vec<u8> {
        let mut file = head_chunks_header().to_vec();
        for series_ref in 1..=count {
            encode_head_chunk(&mut file, &chunk(series_ref, &[0, 1, 2, 3, 4, 5]));
        }
        file
    }

    #[test]
    fn headers_are_checked() {
        let header = head_chunks_header();
        assert_eq!(header, [0x01, 0x30, 0xbc, 0x91, 1, 0, 0, 0]);
        assert_eq!(check_head_chunks_header(&header), Ok(()));
        assert!(check_head_chunks_header(&header[..7]).is_err());
        for at in 0..5 {
            let mut bad = header;
            bad[at] ^= 1;
            assert!(HeadChunks::new(&bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn zeros_end_a_file_and_other_remainders_do_not() {
        let file = file_of(3);
        let len = file.len() as u64;
        assert_eq!(read(&file), (vec![1, 2, 3], len, None));
        for zeros in [1, 33, 34, 35, 70_000] {
            let mut longer = file.clone();
            longer.resize(file.len() + zeros, 0);
            assert_eq!(read(&longer), (vec![1, 2, 3], len, None), "{zeros}");
            *longer.last_mut().unwrap() = 1;
            let (refs, good, error) = read(&longer);
            assert_eq!((refs.len(), good), (3, len), "{zeros}");
            // Behind the zeros of what would be reference and times nothing is looked at.
            assert_eq!(error.is_some(), zeros < 34, "{zeros}: {error:?}");
        }
    }

    #[test]
    fn a_cut_file_is_read_up_to_its_last_whole_chunk() {
        let file = file_of(3);
        let (first, second) = (8 + 36, 8 + 72);
        for len in 8..file.len() {
            let (refs, good, error) = read(&file[..len]);
            let whole = if len < first { 0 } else { 1 + (len >= second) as usize };
            assert_eq!(refs.len(), whole, "{len}");
            assert_eq!(good as usize, 8 + 36 * whole, "{len}");
            // The first bytes of a reference are zeros.
            let rest = &file[8 + 36 * whole..len];
            assert_eq!(error.is_none(), rest.len() < 8, "{len}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_byte_ends_it_in_front_of_its_chunk(
            at in 8usize..8 + 3 * 36, flip in 1u8..,
        ) {
            let mut file = file_of(3);
            file[at] ^= flip;
            let (refs, good, error) = read(&file);
            let in_front = (at - 8) / 36;
            prop_assert_eq!(refs.len(), in_front);
            prop_assert_eq!(good as usize, 8 + 36 * in_front);
            let error = error.unwrap();
            prop_assert!(error.offset_bytes >= good, "{}", error);
        }
    }
}
