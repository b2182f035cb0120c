//! Memory of the open float chunks of a page.
//!
//! ```text
//!   slab 0: | block 0 | block 1 | ... | block 63 |   a block is 64 bytes: 8 words of a chunk
//!   slab 1: | block 64 | ...
//!
//!   next:   of a block in use the next one of its chunk, of a free one the next free one
//! ```
//!
//! A chunk grows block by block, so nothing is copied while it grows, and at most 63 bytes of it are
//! unused. Once it is full it leaves, and its blocks are free again.

/// No block.
pub(super) const NONE: u32 = u32::MAX;
const BLOCK_WORDS: usize = 8;
const SLAB_BLOCKS: usize = 64;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Block([u64; BLOCK_WORDS]);

/// The blocks of a page.
pub(super) struct Blocks {
    slabs: Vec<Box<[Block; SLAB_BLOCKS]>>,
    next: Vec<u32>,
    free: u32,
}

/// The blocks of a chunk, first and last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    /// No blocks.
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };
}

impl Default for Blocks {
    fn default() -> Self {
        Self { slabs: Vec::new(), next: Vec::new(), free: NONE }
    }
}

impl Blocks {
    /// Stores word `at` of a chunk, the one behind those that are stored already.
    #[inline(always)]
    pub(super) fn put(&mut self, chain: &mut Chain, at: u16, word: u64) {
        let at = usize::from(at) % BLOCK_WORDS;
        if at == 0 {
            self.extend(chain);
        }
        let block = chain.last as usize;
        if let Some(slab) = self.slabs.get_mut(block / SLAB_BLOCKS) {
            slab[block % SLAB_BLOCKS].0[at] = word;
        }
    }

    /// The words of a chunk, block by block; behind the last stored one comes what is of no use.
    pub(super) fn words(&self, chain: Chain) -> impl Iterator<Item = &[u64; BLOCK_WORDS]> {
        let mut block = chain.first;
        std::iter::from_fn(move || {
            let slab = self.slabs.get(block as usize / SLAB_BLOCKS)?;
            let words = &slab[block as usize % SLAB_BLOCKS].0;
            block = self.next.get(block as usize).copied().unwrap_or(NONE);
            Some(words)
        })
    }

    /// Takes a chunk's blocks back.
    pub(super) fn release(&mut self, chain: &mut Chain) {
        if let Some(next) = self.next.get_mut(chain.last as usize) {
            *next = self.free;
            self.free = chain.first;
        }
        *chain = Chain::EMPTY;
    }

    /// Bytes of memory that the blocks take.
    pub(super) fn memory_bytes(&self) -> usize {
        self.slabs.len() * size_of::<[Block; SLAB_BLOCKS]>() + self.next.capacity() * 4
    }

    #[cold]
    fn extend(&mut self, chain: &mut Chain) {
        if self.free == NONE {
            self.grow();
        }
        let block = self.free;
        self.free = std::mem::replace(&mut self.next[block as usize], NONE);
        match self.next.get_mut(chain.last as usize) {
            Some(next) => *next = block,
            None => chain.first = block,
        }
        chain.last = block;
    }

    fn grow(&mut self) {
        let begin = self.next.len() as u32;
        let end = begin + SLAB_BLOCKS as u32;
        self.slabs.push(Box::new([Block([0; BLOCK_WORDS]); SLAB_BLOCKS]));
        self.next.reserve_exact(SLAB_BLOCKS);
        self.next.extend((begin + 1..end).chain([self.free]));
        self.free = begin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_their_words_and_blocks_come_back() {
        let mut blocks = Blocks::default();
        let mut chains = [Chain::EMPTY; 100];
        for at in 0..20u16 {
            for (n, chain) in chains.iter_mut().enumerate() {
                blocks.put(chain, at, (n as u64) << 32 | u64::from(at));
            }
        }
        let slabs = blocks.slabs.len();
        assert_eq!(slabs, 300usize.div_ceil(SLAB_BLOCKS));
        for (n, chain) in chains.iter_mut().enumerate() {
            let words: Vec<u64> = blocks.words(*chain).flatten().copied().take(20).collect();
            assert_eq!(words, (0..20).map(|at| (n as u64) << 32 | at).collect::<Vec<_>>());
            blocks.release(chain);
        }
        for at in 0..20u16 {
            for chain in &mut chains {
                blocks.put(chain, at, 7);
            }
        }
        assert_eq!(blocks.slabs.len(), slabs, "free blocks are taken again");
        blocks.release(&mut Chain::EMPTY.clone());
        assert_eq!(blocks.words(Chain::EMPTY).next(), None);
    }
}
