//! How records are compressed, each by itself.

use crate::{DecodeError, DecodeErrorKind, Quantity, Rule};

/// The longest record that is read, in bytes, once it is decompressed: far more than any batch of
/// samples takes, and little enough to be held.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

/// Snappy makes at most 64 bytes of 3.
const SNAPPY_GROWTH_MAX: usize = 22;
/// Zstandard's level that 3.15's encoder stands for.
const ZSTD_LEVEL: i32 = 3;
/// What zstd output is made in at a time: memory follows what is there, not what is claimed.
const ZSTD_STEP_BYTES: usize = 128 << 10;
/// The longest window that a frame may claim is 2 to this power: 3.15 takes 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// How a record is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As it is.
    None,
    /// Snappy's block format.
    #[default]
    Snappy,
    /// A Zstandard frame.
    Zstd,
}

/// Compresses records; keeps its memory between them.
pub struct Compressor {
    compression: Compression,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl Compressor {
    /// One that compresses by `compression`.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        let zstd = match compression {
            Compression::Zstd => zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(),
            _ => None,
        };
        Self { compression, snappy: snap::raw::Encoder::new(), zstd, buffer: Vec::new() }
    }

    /// How it compresses what gets smaller by it.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The bytes to store for `record`, and how they are compressed: not at all if that would not
    /// make them fewer.
    pub fn compress<'a>(&'a mut self, record: &'a [u8]) -> (&'a [u8], Compression) {
        let bound = match self.compression {
            Compression::None => 0,
            Compression::Snappy => snap::raw::max_compress_len(record.len()),
            Compression::Zstd => zstd::zstd_safe::compress_bound(record.len()),
        };
        if record.is_empty() || bound == 0 {
            return (record, Compression::None);
        }
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let len = match &mut self.zstd {
            Some(zstd) => zstd.compress_to_buffer(record, self.buffer.as_mut_slice()).ok(),
            None => self.snappy.compress(record, &mut self.buffer).ok(),
        };
        match len.and_then(|len| self.buffer.get(..len)) {
            Some(stored) if stored.len() < record.len() => (stored, self.compression),
            _ => (record, Compression::None),
        }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

/// Decompresses records; keeps its memory between them.
pub struct Decompressor {
    record_bytes_max: usize,
    snappy: snap::raw::Decoder,
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
    buffer: Vec<u8>,
    /// How much of the buffer the last record takes.
    len: usize,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::with_limit(RECORD_BYTES_MAX)
    }
}

impl Decompressor {
    /// One that refuses records of more than `record_bytes_max` bytes.
    #[must_use]
    pub fn with_limit(record_bytes_max: usize) -> Self {
        let snappy = snap::raw::Decoder::new();
        Self { record_bytes_max, snappy, zstd: None, buffer: Vec::new(), len: 0 }
    }

    /// The record that `stored` holds.
    ///
    /// # Errors
    /// When `stored` is not what its compression makes, or claims more than the limit allows; the
    /// offset is 0.
    pub fn decompress<'a>(
        &'a mut self,
        stored: &'a [u8],
        compression: Compression,
    ) -> Result<&'a [u8], DecodeError> {
        self.len = 0;
        self.len = match compression {
            _ if stored.is_empty() => return Ok(stored),
            Compression::None => return Ok(stored),
            Compression::Snappy => self.snappy(stored)?,
            Compression::Zstd => self.zstd(stored)?,
        };
        Ok(self.decompressed())
    }

    /// What was decompressed last; nothing if that failed, or there was nothing to do.
    pub(super) fn decompressed(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    fn limited(&self, found: usize, limit: usize) -> Result<usize, DecodeError> {
        if found <= limit {
            return Ok(found);
        }
        let (what, found, limit) = (Quantity::DecompressedLength, found as u64, limit as u64);
        Err(DecodeError::new(0, DecodeErrorKind::TooLarge { what, found, limit }))
    }

    fn snappy(&mut self, stored: &[u8]) -> Result<usize, DecodeError> {
        let refused = |_| DecodeError::malformed(0, Rule::Snappy);
        let claimed = snap::raw::decompress_len(stored).map_err(refused)?;
        let possible = stored.len().saturating_mul(SNAPPY_GROWTH_MAX).min(self.record_bytes_max);
        let len = self.limited(claimed, possible)?;
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
        let out = self.buffer.get_mut(..len).unwrap_or_default();
        self.snappy.decompress(stored, out).map_err(refused)
    }

    fn zstd(&mut self, stored: &[u8]) -> Result<usize, DecodeError> {
        use zstd::stream::raw::{InBuffer, Operation, OutBuffer};
        const REFUSED: Rule = Rule::Zstd;
        let refused = |_| DecodeError::malformed(0, REFUSED);
        let mut decoder = match self.zstd.take() {
            Some(decoder) => decoder,
            None => new_zstd_decoder().map_err(refused)?,
        };
        decoder.reinit().map_err(refused)?;
        let mut input = InBuffer::around(stored);
        let mut written = 0;
        loop {
            let end = self
                .limited(written + 1, self.record_bytes_max)
                .map(|_| written.saturating_add(ZSTD_STEP_BYTES).min(self.record_bytes_max))?;
            if self.buffer.len() < end {
                self.buffer.resize(end, 0);
            }
            let room = self.buffer.get_mut(written..).unwrap_or_default();
            let mut output = OutBuffer::around(room);
            let (read_before, room_bytes) = (input.pos(), output.capacity());
            let hint = decoder.run(&mut input, &mut output).map_err(refused)?;
            let made = output.pos();
            written += made;
            if hint == 0 && input.pos() == stored.len() {
                break;
            }
            let is_stuck = made == 0 && input.pos() == read_before;
            if is_stuck || (input.pos() == stored.len() && made < room_bytes && hint != 0) {
                return Err(DecodeError::malformed(0, REFUSED));
            }
        }
        self.zstd = Some(decoder);
        Ok(written)
    }
}

fn new_zstd_decoder() -> std::io::Result<zstd::stream::raw::Decoder<'static>> {
    let mut decoder = zstd::stream::raw::Decoder::new()?;
    let window = zstd::zstd_safe::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
    decoder.set_parameter(window)?;
    Ok(decoder)
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Decompressor");
        out.field("record_bytes_max", &self.record_bytes_max).finish_non_exhaustive()
    }
}
