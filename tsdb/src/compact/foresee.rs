//! What would stop a merge is foreseen before anything is written: limits of the format, and the
//! room on the disk.

use std::path::Path;
use std::sync::Arc;

use super::compactor::Compactor;
use super::dry_run::{FLOAT_BYTES_MAX, Room, estimate};
use super::error::CompactError;
use super::index::INDEX_BYTES_MAX;
use super::source::Source;
use crate::vfs::{SpaceError, free_bytes};

impl Compactor {
    /// Where the sum of the sources' parts passes a limit of the format, the result is planned
    /// first: it may be smaller, or the merge must not begin.
    pub(super) fn foresee_limits(&self, sources: &[Arc<Source>]) -> Result<(), CompactError> {
        let sum = |len: fn(&Source) -> u64| sources.iter().map(|source| len(source)).sum::<u64>();
        let tables = |source: &Source| {
            let section = source.postings_table_section();
            section.end - section.start
        };
        let symbols = |source: &Source| {
            let section = source.symbols_section();
            section.end - section.start
        };
        let fits = sum(Source::index_bytes) <= INDEX_BYTES_MAX
            && sum(tables) <= u64::from(u32::MAX)
            && sum(symbols) <= u64::from(u32::MAX);
        if fits {
            return Ok(());
        }
        let shares = self.shares(sources.len());
        estimate(sources, &shares, self.segment_bytes_max(), self.cancel_token()).map(|_| ())
    }

    /// Where there may be too little room, the result is planned first. What can't be written
    /// whatever the samples are is refused; what may be is tried, with a warning: if the disk fills
    /// up, that costs the temporary block.
    pub(super) fn foresee_space(
        &self,
        sources: &[Arc<Source>],
        dest: &Path,
    ) -> Result<(), CompactError> {
        let space = |error| CompactError::Space(Box::new(error));
        let free_bytes = free_bytes(dest).map_err(space)?;
        let sum = |of: fn(&Source) -> u64| sources.iter().map(|source| of(source)).sum::<u64>();
        // Beside the output there are temporary files, never larger than the indexes.
        let copied = sum(Source::chunk_bytes) + 2 * sum(Source::index_bytes);
        // Whatever meta.json says.
        let samples = sources
            .iter()
            .fold(0u64, |samples, source| samples.saturating_add(source.meta().stats.num_samples));
        let encoded =
            if overlap(sources) { samples.saturating_mul(2 * FLOAT_BYTES_MAX) } else { 0 };
        if free_bytes >= copied.saturating_add(encoded) {
            return Ok(());
        }
        let shares = self.shares(sources.len());
        let run = estimate(sources, &shares, self.segment_bytes_max(), self.cancel_token())?;
        match run.room(free_bytes) {
            Room::Enough => Ok(()),
            Room::Uncertain(needed_bytes_max) => {
                tracing::warn!(
                    dir = %dest.display(),
                    free_bytes,
                    needed_bytes = run.peak_disk_bytes,
                    needed_bytes_max,
                    "the disk may fill up; nothing but the temporary block would be lost"
                );
                Ok(())
            }
            Room::TooLittle(needed_bytes) => {
                let path = dest.to_owned();
                Err(space(SpaceError::TooLittle { path, needed_bytes, free_bytes }))
            }
        }
    }
}

/// Whether the times of any two blocks overlap.
fn overlap(sources: &[Arc<Source>]) -> bool {
    let mut ranges: Vec<(i64, i64)> =
        sources.iter().map(|s| (s.meta().min_time, s.meta().max_time)).collect();
    ranges.sort_unstable();
    ranges.windows(2).any(|pair| pair[1].0 < pair[0].1)
}
