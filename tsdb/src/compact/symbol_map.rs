//! From a source's symbol ids to the merged table's.
//!
//! Both tables are sorted, so the map of a source is a strictly increasing sequence. It is kept as
//! a plain array while the arrays of all sources fit their share of the memory budget, and in
//! Elias-Fano form when they don't: about 2 + log2(merged / own) bits a symbol, found by a
//! sampled select.
//!
//! ```text
//! value 0b0110_1011   low bits, `low_bits` of them, packed: ... 1011 ...
//!                     high part h: bit number (h + index) of `high` is set
//! ```

/// A strictly increasing sequence of u32, by index.
#[derive(Debug)]
pub(super) enum SymbolMap {
    Plain(Vec<u32>),
    EliasFano(EliasFano),
}

impl SymbolMap {
    /// The merged id of symbol `id`, or `None` if the source has no such symbol.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<u32> {
        match self {
            Self::Plain(ids) => ids.get(id as usize).copied(),
            Self::EliasFano(ids) => ids.get(id),
        }
    }
}

/// Builds a [`SymbolMap`].
#[derive(Debug)]
pub(super) enum SymbolMapBuilder {
    Plain(Vec<u32>),
    EliasFano(EliasFano),
}

impl SymbolMapBuilder {
    /// For `len` values below `universe`.
    pub(super) fn new(len: u32, universe: u64, plain: bool) -> Self {
        if plain {
            Self::Plain(Vec::with_capacity(len as usize))
        } else {
            Self::EliasFano(EliasFano::with_capacity(len, universe))
        }
    }

    pub(super) fn push(&mut self, value: u32) {
        match self {
            Self::Plain(ids) => ids.push(value),
            Self::EliasFano(ids) => ids.push(value),
        }
    }

    pub(super) fn finish(self) -> SymbolMap {
        match self {
            Self::Plain(ids) => SymbolMap::Plain(ids),
            Self::EliasFano(ids) => SymbolMap::EliasFano(ids),
        }
    }
}

/// Every how many set bits of `high` a position is kept.
const SELECT_SAMPLE: u32 = 128;

/// A strictly increasing sequence in Elias-Fano form.
#[derive(Debug)]
pub(super) struct EliasFano {
    len: u32,
    low_bits: u32,
    low: Vec<u64>,
    high: Vec<u64>,
    /// Position in `high` of set bits 0, 128, 256, ...
    samples: Vec<u64>,
}

impl EliasFano {
    fn with_capacity(len: u32, universe: u64) -> Self {
        let low_bits = (universe / u64::from(len.max(1))).max(1).ilog2();
        let low_words = (u64::from(len) * u64::from(low_bits)).div_ceil(64) as usize + 1;
        let high_words = (u64::from(len) + (universe >> low_bits)).div_ceil(64) as usize + 1;
        Self {
            len: 0,
            low_bits,
            low: vec![0; low_words],
            high: vec![0; high_words],
            samples: Vec::with_capacity((len / SELECT_SAMPLE + 1) as usize),
        }
    }

    /// How many bytes the map of `len` values below `universe` takes.
    pub(super) fn memory_bytes(len: u32, universe: u64) -> u64 {
        let low_bits = u64::from((universe / u64::from(len.max(1))).max(1).ilog2());
        let len = u64::from(len);
        (len * low_bits + len + (universe >> low_bits)).div_ceil(8) + len / 16 + 64
    }

    fn push(&mut self, value: u32) {
        let index = self.len;
        if self.low_bits > 0 {
            let low = u64::from(value) & ((1 << self.low_bits) - 1);
            let bit = u64::from(index) * u64::from(self.low_bits);
            let (word, shift) = ((bit / 64) as usize, bit % 64);
            self.low[word] |= low << shift;
            if shift + u64::from(self.low_bits) > 64 {
                self.low[word + 1] |= low >> (64 - shift);
            }
        }
        let bit = (u64::from(value) >> self.low_bits) + u64::from(index);
        self.high[(bit / 64) as usize] |= 1 << (bit % 64);
        if index.is_multiple_of(SELECT_SAMPLE) {
            self.samples.push(bit);
        }
        self.len += 1;
    }

    fn get(&self, index: u32) -> Option<u32> {
        if index >= self.len {
            return None;
        }
        let high = self.select(index) - u64::from(index);
        let mut low = 0;
        if self.low_bits > 0 {
            let bit = u64::from(index) * u64::from(self.low_bits);
            let (word, shift) = ((bit / 64) as usize, bit % 64);
            low = self.low[word] >> shift;
            if shift + u64::from(self.low_bits) > 64 {
                low |= self.low[word + 1] << (64 - shift);
            }
            low &= (1 << self.low_bits) - 1;
        }
        u32::try_from(high << self.low_bits | low).ok()
    }

    /// The position of set bit number `index` in `high`.
    fn select(&self, index: u32) -> u64 {
        let start = self.samples[(index / SELECT_SAMPLE) as usize];
        let mut word = (start / 64) as usize;
        let mut bits = self.high[word] & (u64::MAX << (start % 64));
        let mut rank = index % SELECT_SAMPLE;
        while rank >= bits.count_ones() {
            rank -= bits.count_ones();
            word += 1;
            bits = self.high[word];
        }
        for _ in 0..rank {
            bits &= bits - 1;
        }
        word as u64 * 64 + u64::from(bits.trailing_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_forms_hold_the_sequence(
            gaps in prop::collection::vec(0u32..5000, 0..800),
            slack in 0u64..100_000,
        ) {
            let mut values = Vec::new();
            let mut next = 0;
            for gap in gaps {
                next += gap;
                values.push(next);
                next += 1;
            }
            let universe = u64::from(next) + slack;
            for plain in [true, false] {
                let mut builder = SymbolMapBuilder::new(values.len() as u32, universe, plain);
                values.iter().for_each(|&value| builder.push(value));
                let map = builder.finish();
                for (i, &value) in values.iter().enumerate() {
                    prop_assert_eq!(map.get(i as u32), Some(value));
                }
                prop_assert_eq!(map.get(values.len() as u32), None);
            }
        }
    }
}
