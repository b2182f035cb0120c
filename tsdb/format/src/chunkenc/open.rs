//! A float chunk that is written bit by bit over hours, without a buffer of its own.
//!
//! ```text
//! | word 0 | word 1 | ... | last word, 1 to 64 bits |
//!   handed to the caller as they fill up    in OpenFloats
//!
//! word 0 begins with room for the chunk's header, whose bytes are known when it is written out
//! ```
//!
//! A head keeps an open chunk for each of its series. [`OpenFloats`] is all that it must know of one
//! to append: 40 bytes; where the words go, and in pieces of which size, is the caller's to decide.

use super::STALE_NAN_BITS;
use super::bits::PutBits;
use super::encoding::Encoding;
use super::start_timestamp::StEncoder;
use super::xor::{self, XorState};
use super::xor_value::{Window, XorValue};
use super::xor2::{self, Xor2State};

/// The state of a float chunk that is being written. See the module's text.
#[derive(Debug, Clone, Copy)]
pub struct OpenFloats {
    /// The last `used` bits, right-aligned; what is above them is stale.
    word: u64,
    t: i64,
    t_delta: i64,
    /// The last value, in XOR2 the last one that was no stale marker.
    bits: u64,
    window: Window,
    samples: u16,
    words: u16,
    used: u8,
    flags: u8,
}

/// The encoding is 4.
const XOR2: u8 = 1;
/// The last value is a stale marker.
const STALE: u8 = 2;

/// The start timestamps of an open chunk of encoding 4. One of encoding 1 leaves it alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenStarts(StEncoder);

/// Passes full words on.
struct Words<F> {
    word: u64,
    used: u32,
    count: u16,
    put: F,
}

impl<F: FnMut(u16, u64)> PutBits for Words<F> {
    #[inline(always)]
    fn put(&mut self, value: u64, bits: u32) {
        let free = 64 - self.used;
        if bits < free {
            self.word = (self.word << bits) | value;
            self.used += bits;
            return;
        }
        let spilled = bits - free;
        (self.put)(self.count, self.word.unbounded_shl(free) | (value >> spilled));
        self.count += 1;
        self.word = value;
        self.used = spilled;
    }
}

impl OpenFloats {
    /// An empty chunk: of encoding 4 if `is_xor2`, else of encoding 1.
    #[must_use]
    pub fn new(is_xor2: bool) -> Self {
        let header_bytes = if is_xor2 { xor2::HEADER_BYTES } else { xor::HEADER_BYTES };
        #[expect(clippy::cast_possible_truncation, reason = "a header is a few bytes")]
        let used = header_bytes as u8 * 8;
        Self {
            word: 0,
            t: 0,
            t_delta: 0,
            bits: 0,
            window: Window::NONE,
            samples: 0,
            words: 0,
            used,
            flags: if is_xor2 { XOR2 } else { 0 },
        }
    }

    /// How the samples are packed.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        if self.is_xor2() { Encoding::Xor2 } else { Encoding::Xor }
    }

    /// Whether the encoding is 4.
    #[must_use]
    #[inline]
    pub fn is_xor2(&self) -> bool {
        self.flags & XOR2 != 0
    }

    /// How many samples there are.
    #[must_use]
    #[inline]
    pub fn num_samples(&self) -> u16 {
        self.samples
    }

    /// The length of the chunk in bytes, as it is now.
    #[must_use]
    #[inline]
    pub fn len_bytes(&self) -> usize {
        usize::from(self.words) * 8 + usize::from(self.used).div_ceil(8)
    }

    /// How many words were passed on.
    #[must_use]
    pub fn num_words(&self) -> u16 {
        self.words
    }

    /// The time of the last sample, in milliseconds; 0 if there is none.
    #[must_use]
    #[inline]
    pub fn last_time(&self) -> i64 {
        self.t
    }

    /// The bits of the last value.
    #[must_use]
    #[inline]
    pub fn last_bits(&self) -> u64 {
        if self.flags & STALE != 0 { STALE_NAN_BITS } else { self.bits }
    }

    /// Appends a sample: its start timestamp (0: none; encoding 1 drops it), time, and value. The
    /// caller keeps the number of samples within 16 bits. `put` is called with number and content of
    /// each word that is full: at most three.
    #[inline(always)]
    pub fn append(
        &mut self,
        starts: &mut OpenStarts,
        (st, t, value): (i64, i64, f64),
        put: impl FnMut(u16, u64),
    ) {
        let bits = value.to_bits();
        let mut words = Words { word: self.word, used: self.used.into(), count: self.words, put };
        if self.is_xor2() {
            let Self { t: last, t_delta, bits: baseline, window, .. } = *self;
            let mut state = Xor2State { t: last, t_delta, baseline, window };
            state.append(&mut words, &mut starts.0, self.samples, st, t, bits);
            (self.t_delta, self.bits, self.window) = (state.t_delta, state.baseline, state.window);
        } else {
            let value = XorValue { bits: self.bits, window: self.window };
            let mut state = XorState { t: self.t, t_delta: self.t_delta, value };
            state.append(&mut words, self.samples, t, bits);
            self.t_delta = state.t_delta;
            (self.bits, self.window) = (state.value.bits, state.value.window);
        }
        self.t = t;
        let stale = if bits == STALE_NAN_BITS { STALE } else { 0 };
        self.flags = self.flags & !STALE | stale;
        self.word = words.word;
        #[expect(clippy::cast_possible_truncation, reason = "bits of one word")]
        let used = words.used as u8;
        self.used = used;
        self.words = words.count;
        self.samples += 1;
    }

    /// Appends the chunk to `out` as it would be with only its first `samples` samples counted.
    /// `pieces` are the words that were passed on, in order, in pieces of any length; what is behind
    /// them is left alone.
    ///
    /// A count below [`Self::num_samples`] leaves the bits of the later samples behind the counted
    /// ones, where no decoder looks.
    pub fn write<W: AsRef<[u64]>>(
        &self,
        starts: &OpenStarts,
        samples: u16,
        pieces: impl IntoIterator<Item = W>,
        out: &mut Vec<u8>,
    ) {
        let begin = out.len();
        out.reserve(self.len_bytes());
        let mut left = usize::from(self.words);
        let mut pieces = pieces.into_iter();
        while left > 0
            && let Some(piece) = pieces.next()
        {
            let words = piece.as_ref();
            let words = words.get(..left).unwrap_or(words);
            left -= words.len();
            let (eights, rest) = words.as_chunks::<8>();
            for eight in eights {
                out.extend_from_slice(eight.map(u64::to_be_bytes).as_flattened());
            }
            for word in rest {
                out.extend_from_slice(&word.to_be_bytes());
            }
        }
        if self.used > 0 {
            let tail = (self.word << (64 - self.used)).to_be_bytes();
            let tail_bytes = usize::from(self.used).div_ceil(8);
            out.extend_from_slice(tail.get(..tail_bytes).unwrap_or(&tail));
        }
        let [high, low] = samples.min(self.samples).to_be_bytes();
        let header = [high, low, starts.0.header];
        let header_bytes = if self.is_xor2() { xor2::HEADER_BYTES } else { xor::HEADER_BYTES };
        let into = out.get_mut(begin..).unwrap_or_default();
        for (byte, header) in into.iter_mut().zip(header).take(header_bytes) {
            *byte = header;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunkenc::ChunkAppender;

    fn sample() -> impl Strategy<Value = (i64, i64, f64)> {
        let value = prop_oneof![
            4 => (0..1000i32).prop_map(|v| f64::from(v) / 8.0),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => Just(f64::from_bits(STALE_NAN_BITS)),
        ];
        let start = prop_oneof![3 => Just(0i64), 1 => 0..5000i64];
        let step = prop_oneof![6 => Just(15_000i64), 2 => 1..40_000i64, 1 => any::<i64>()];
        (start, step, value)
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_appender(
            is_xor2: bool, samples in prop::collection::vec(sample(), 0..200)
        ) {
            let encoding = if is_xor2 { Encoding::Xor2 } else { Encoding::Xor };
            let mut appender = ChunkAppender::new(encoding);
            let (mut open, mut starts) = (OpenFloats::new(is_xor2), OpenStarts::default());
            let mut words = Vec::new();
            let mut t = 0i64;
            for (st, step, value) in samples {
                t = t.wrapping_add(step);
                appender.append_float(st, t, value).expect("a float fits");
                open.append(&mut starts, (st, t, value), |at, word| {
                    assert_eq!(usize::from(at), words.len());
                    words.push(word);
                });
                prop_assert_eq!(open.len_bytes(), appender.len_bytes());
                prop_assert_eq!((open.last_time(), open.last_bits()), (t, value.to_bits()));
                let mut bytes = Vec::new();
                open.write(&starts, u16::MAX, words.chunks(3), &mut bytes);
                prop_assert_eq!(bytes.as_slice(), appender.bytes());
            }
            prop_assert_eq!(open.num_samples(), appender.num_samples());
        }
    }

    #[test]
    fn the_state_takes_40_bytes() {
        assert_eq!(size_of::<OpenFloats>(), 40);
    }
}
