//! The targets, by name.

mod chunk;
mod files;
mod frame;
mod index;
mod record;
mod reencode;
mod text;
mod wal;

use std::fmt;

use tsdb_format::chunkenc::Encoding;

use crate::allocation::peak_bytes;

/// What any target may hold at its peak, however short the input, in bytes: buffers that are made
/// ahead of the input, and the input made ready for its decoder.
const BASE_BYTES: usize = 64 << 10;

/// A decoder, and what must hold whatever it is given.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The longest input worth trying, in bytes.
    pub input_bytes_max: usize,
    run: fn(&[u8]),
    /// Bytes that it may hold at its peak for each byte of input.
    held_per_byte: usize,
    base_bytes: usize,
}

impl Target {
    const fn new(name: &'static str, held_per_byte: usize, run: fn(&[u8])) -> Self {
        Self { name, input_bytes_max: 4096, run, held_per_byte, base_bytes: BASE_BYTES }
    }

    /// Bytes that it may hold at its peak for `input_bytes` bytes of input.
    #[must_use]
    pub fn limit_bytes(&self, input_bytes: usize) -> usize {
        self.base_bytes + self.held_per_byte * input_bytes
    }

    /// Tries `data`.
    ///
    /// # Panics
    /// When the decoder does, holds too much memory, or contradicts itself.
    pub fn check(&self, data: &[u8]) {
        let peak = peak_bytes(|| (self.run)(data));
        let limit = self.limit_bytes(data.len());
        assert!(
            peak <= limit,
            "{}: {peak} bytes held for {} bytes of input, {limit} allowed",
            self.name,
            data.len()
        );
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.name)
    }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    // A bucket of a histogram can take one bit; decoded it takes 16 bytes, and buffers double.
    Target::new("chunk_xor", 1024, |data| chunk::check(Encoding::Xor, data)),
    Target::new("chunk_histogram", 2048, |data| chunk::check(Encoding::Histogram, data)),
    Target::new("chunk_float_histogram", 2048, |data| chunk::check(Encoding::FloatHistogram, data)),
    Target::new("chunk_xor2", 1024, |data| chunk::check(Encoding::Xor2, data)),
    Target::new("chunk_histogram_st", 2048, |data| chunk::check(Encoding::HistogramSt, data)),
    Target::new("chunk_float_histogram_st", 2048, |data| {
        chunk::check(Encoding::FloatHistogramSt, data);
    }),
    Target::new("reencode", 4096, reencode::check),
    Target::new("segment", 8, files::check_segment),
    Target::new("head_chunks", 16, files::check_head_chunks),
    Target::new("symbols", 32, index::check_symbols),
    Target::new("series", 64, index::check_series),
    Target::new("postings", 16, index::check_postings),
    Target::new("postings_table", 64, index::check_postings_table),
    Target::new("toc", 8, index::check_toc),
    Target { input_bytes_max: 64 << 10, ..Target::new("index", 96, index::check_index) },
    Target::new("tombstones", 96, files::check_tombstones),
    Target::new("meta", 1024, files::check_meta),
    // An entry of a few bytes is some hundred once it is decoded, and lists double.
    Target::new("record", 512, record::check),
    Target {
        input_bytes_max: 64 << 10,
        base_bytes: 4 << 20,
        ..Target::new("wal_segment", 64, wal::check)
    },
    Target::new("block_id", 16, text::check_block_id),
    Target::new("varint", 0, text::check_varint),
    Target {
        input_bytes_max: 200,
        // Regular expressions have a limit of their own, whatever their length.
        base_bytes: 1 << 30,
        ..Target::new("selector", 4096, text::check_selector)
    },
];

/// The target called `name`.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_holds_too_much_is_told() {
        let hungry = Target::new("hungry", 1, |data| {
            std::hint::black_box(vec![0u8; BASE_BYTES + 2 * data.len()]);
        });
        let caught = std::panic::catch_unwind(|| hungry.check(&[0; 10])).unwrap_err();
        let message = caught.downcast_ref::<String>().unwrap();
        assert!(message.contains("65556 bytes held for 10 bytes of input"), "{message}");
        Target::new("modest", 2, hungry.run).check(&[0; 10]);
    }

    #[test]
    fn each_target_has_its_program() {
        let manifest = include_str!("../../Cargo.toml");
        for target in TARGETS {
            assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{target:?}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
    }
}
