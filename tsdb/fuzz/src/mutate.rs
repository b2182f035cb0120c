//! Mutations that follow from a seed alone.

/// Values that lengths, counts and deltas go wrong at.
const INTERESTING: [u8; 10] = [0, 1, 2, 0x10, 0x7f, 0x80, 0x81, 0xc0, 0xfe, 0xff];

/// A number that says too much, as uvarint.
const HUGE_UVARINT: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];

/// Mutates inputs; equal seeds give equal inputs on every machine.
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// A mutator that starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap_or(0)
    }

    /// Changes `data` in one to six places. `other` is another input, parts of which may be put in.
    pub fn mutate(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(6) {
            self.mutate_once(data, other);
        }
    }

    fn mutate_once(&mut self, data: &mut Vec<u8>, other: &[u8]) {
        if data.is_empty() {
            data.push(self.byte());
            return;
        }
        let at = self.below(data.len());
        match self.below(10) {
            0 | 1 => data[at] ^= 1 << self.below(8),
            2 | 3 => data[at] = INTERESTING[self.below(INTERESTING.len())],
            4 => data[at] = self.byte(),
            5 => data.truncate(at),
            6 => drop(data.drain(at..(at + 1 + self.below(9)).min(data.len()))),
            7 => {
                let end = (at + 1 + self.below(32)).min(data.len());
                let again = data[at..end].to_vec();
                self.insert(data, &again);
            }
            8 => {
                let from = self.below(other.len() + 1);
                let end = (from + self.below(64)).min(other.len());
                self.insert(data, &other[from..end]);
            }
            _ => {
                let keep = 1 + self.below(HUGE_UVARINT.len());
                let start = HUGE_UVARINT.len() - keep;
                let end = (at + keep).min(data.len());
                data.splice(at..end, HUGE_UVARINT[start..].iter().copied());
            }
        }
    }

    fn insert(&mut self, data: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.below(data.len() + 1);
        data.splice(at..at, bytes.iter().copied());
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_inputs_and_different_seeds_do_not() {
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            let mut data = b"a block of bytes".to_vec();
            (0..50).for_each(|_| mutator.mutate(&mut data, b"another"));
            data
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn nothing_and_something_grow_from_nothing() {
        let mut mutator = Mutator::new(7);
        let lengths: std::collections::BTreeSet<usize> = (0..200)
            .map(|_| {
                let mut data = Vec::new();
                mutator.mutate(&mut data, &[]);
                data.len()
            })
            .collect();
        assert!(lengths.len() > 3, "{lengths:?}");
    }
}
