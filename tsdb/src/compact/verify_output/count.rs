//! The samples of one block, by the headers of its chunks.

use std::sync::Arc;

use super::block::Block;
use super::{SERIES_PER_CHECK, block_shares};
use crate::compact::error::CompactError;
use crate::compact::progress::CancelToken;
use crate::compact::sample_counts::SampleCounts;
use crate::compact::source::Source;

/// Reads all of `source` once more and counts its samples.
pub(in crate::compact) fn count_samples(
    source: &Arc<Source>,
    memory_budget_bytes: u64,
    cancel: &CancelToken,
) -> Result<SampleCounts, CompactError> {
    let mut block = Block::source(source, block_shares(memory_budget_bytes, 0))?;
    let (mut samples, mut series) = (SampleCounts::default(), 0u64);
    while block.advance()? {
        while let Some(chunk) = block.scan.next_chunk()? {
            let record = block.read(chunk)?;
            samples.add(record.encoding, record.samples);
        }
        series += 1;
        if series.is_multiple_of(SERIES_PER_CHECK) {
            cancel.check()?;
        }
    }
    Ok(samples)
}
