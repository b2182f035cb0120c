//! The chunks of a group, as a merge sees them: all at hand, or brought when their turn comes.

use std::convert::Infallible;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{Encoding, num_samples};

use super::{ChunkInput, EncodedChunks};

/// The chunks of a group, numbered in the order in which Prometheus's chunk heap pops them.
pub(in crate::compact) trait Inputs {
    /// Why a chunk could not be brought.
    type Error;

    /// Puts the start of each chunk into `times`, as the index has it.
    fn take_starts(&mut self, times: &mut Vec<i64>);

    /// Whether a chunk has samples. One whose number of samples is not known yet is said to.
    ///
    /// # Errors
    /// If its header can't be read.
    fn has_samples(&self, id: usize) -> Result<bool, DecodeError>;

    /// Brings a chunk, which is about to be opened.
    fn bring(&mut self, id: usize) -> Result<(), Self::Error>;

    /// Encoding and data of a chunk that was brought.
    fn chunk(&self, id: usize) -> (Encoding, &[u8]);

    /// A chunk that was brought is not needed any more.
    fn release(&mut self, id: usize);

    /// May take what was encoded so far. The next chunk is begun by then.
    fn relieve(&mut self, out: &mut EncodedChunks) -> Result<(), Self::Error>;
}

/// Chunks that are all at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct AtHand<'a, 'b>(pub(super) &'a [ChunkInput<'b>]);

impl Inputs for AtHand<'_, '_> {
    type Error = Infallible;

    #[inline]
    fn take_starts(&mut self, times: &mut Vec<i64>) {
        times.clear();
        times.extend(self.0.iter().map(|input| input.min_time));
    }

    #[inline]
    fn has_samples(&self, id: usize) -> Result<bool, DecodeError> {
        let ChunkInput { encoding, data, .. } = self.0[id];
        Ok(num_samples(encoding, data)? > 0)
    }

    #[inline(always)]
    fn bring(&mut self, _id: usize) -> Result<(), Infallible> {
        Ok(())
    }

    #[inline(always)]
    fn chunk(&self, id: usize) -> (Encoding, &[u8]) {
        (self.0[id].encoding, self.0[id].data)
    }

    #[inline(always)]
    fn release(&mut self, _id: usize) {}

    #[inline(always)]
    fn relieve(&mut self, _out: &mut EncodedChunks) -> Result<(), Infallible> {
        Ok(())
    }
}
