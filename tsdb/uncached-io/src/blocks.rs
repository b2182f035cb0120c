//! The arithmetic of reading whole blocks, apart from all system calls.
//!
//! ```text
//!  file    ...|........|........|........|..        blocks of `align`
//!             |----|-----------------|
//!             | skip                 |
//!             |------ wanted --------|
//!             |--------- span -----------|          what is read, from `start`
//! ```

/// The blocks that a range touches. All in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Offset in the file of the first block.
    pub(crate) start: u64,
    /// From there to the range.
    pub(crate) skip: usize,
    /// From `start` to the end of the range or of the file.
    pub(crate) wanted: usize,
    /// `wanted`, rounded up to whole blocks.
    pub(crate) span: usize,
}

impl Touched {
    /// `None` if nothing of the range is in a file of `file_bytes`. Never more than the file
    /// has, rounded up: a huge `len_bytes` costs no memory. `align` is not 0.
    pub(crate) fn by(
        offset_bytes: u64,
        len_bytes: usize,
        file_bytes: u64,
        align: usize,
    ) -> Option<Self> {
        let skip = (offset_bytes % align as u64) as usize;
        let start = offset_bytes - skip as u64;
        let there = usize::try_from(file_bytes.saturating_sub(start)).unwrap_or(usize::MAX);
        let wanted = skip.saturating_add(len_bytes).min(there);
        if len_bytes == 0 || wanted <= skip {
            return None;
        }
        Some(Self { start, skip, wanted, span: wanted.next_multiple_of(align) })
    }
}

/// What to do after a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Read on, this many bytes after the first block.
    Resume(usize),
    /// There is no more than this many bytes, `wanted` at most.
    End(usize),
}

/// After a read of `got` bytes behind `done`, of which `wanted` are wanted in all. Reads start
/// at multiples of `unit`, in the file and in memory.
///
/// One that stops inside a block has met the end of the file; if more is wanted it goes on from
/// the last whole block, and nothing new means that it is the end.
pub(crate) fn after_read(done: usize, got: usize, wanted: usize, unit: usize) -> Progress {
    let next = done + got;
    let whole = next - next % unit;
    if next >= wanted || got == 0 || whole <= done {
        return Progress::End(next.min(wanted));
    }
    Progress::Resume(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_of_the_range_is_nothing_to_read() {
        for align in [1, 512, 4096] {
            assert_eq!(Touched::by(0, 0, 10_000, align), None);
            assert_eq!(Touched::by(10_000, 1, 10_000, align), None);
            assert_eq!(Touched::by(9_000, 1, 0, align), None);
            assert_eq!(Touched::by(u64::MAX, usize::MAX, 10_000, align), None);
        }
    }

    #[test]
    fn the_end_of_the_file_bounds_an_absurd_length() {
        let expected = Touched { start: 8192, skip: 808, wanted: 1808, span: 4096 };
        assert_eq!(Touched::by(9_000, usize::MAX, 10_000, 4096), Some(expected));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 20 } else { 500 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Against a slice, through a disk that gives arbitrary short reads in whole blocks.
        #[test]
        fn whatever_comes_back_short_the_range_is_what_a_slice_gives(
            file_bytes in 0_usize..20_000,
            there_bytes in 0_usize..20_000,
            offset in 0_usize..22_000,
            len in 0_usize..22_000,
            shift in 0_u32..5,
            mut shorts in proptest::collection::vec(1_usize..9, 0..8),
        ) {
            let unit = 512_usize << shift;
            // What is left may be less than what the file had when it was opened.
            let there = there_bytes.min(file_bytes);
            let content: Vec<u8> = (0..there).map(|at| (at ^ (at >> 8)) as u8).collect();
            let got = match Touched::by(offset as u64, len, file_bytes as u64, unit) {
                None => Vec::new(),
                Some(Touched { start, skip, wanted, span }) => {
                    prop_assert_eq!((start % unit as u64, span % unit), (0, 0));
                    let (mut buf, mut done) = (vec![0; span], 0);
                    let end = loop {
                        let left = content.get(start as usize + done..).unwrap_or_default();
                        let most = shorts.pop().map_or(usize::MAX, |blocks| blocks * unit);
                        let got = left.len().min(span - done).min(most);
                        buf[done..done + got].copy_from_slice(&left[..got]);
                        match after_read(done, got, wanted, unit) {
                            Progress::Resume(from) => {
                                prop_assert!(from > done && from % unit == 0);
                                done = from;
                            }
                            Progress::End(end) => break end.max(skip),
                        }
                    };
                    buf[skip..end].to_vec()
                }
            };
            let start = offset.min(there);
            prop_assert_eq!(got, &content[start..(start + len).min(there)]);
        }
    }
}
