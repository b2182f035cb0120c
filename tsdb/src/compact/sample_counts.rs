//! Whether the sources hold as many samples as their meta.json says.
//!
//! A merge counts the samples of all sources together. Only if that is not what they state, or if
//! one of them states nothing, each is read once more, by the same uncached reader, to find the one
//! to blame.

use std::sync::Arc;

use super::error::{CompactError, CountedPart, Mismatch, SourceFault};
use super::progress::CancelToken;
use super::source::Source;
use super::verify_output::count_samples;

/// Holds the numbers of samples in the sources' meta.json against the `read` ones.
///
/// # Errors
/// When a source holds another number of samples than it states. That each holds what it states, and
/// yet another number was read, is no fault of theirs, and returned.
pub(super) fn refute_sample_counts(
    sources: &[Arc<Source>],
    read: u64,
    memory_budget_bytes: u64,
    cancel: &CancelToken,
) -> Result<Option<Mismatch>, CompactError> {
    let stated = sources
        .iter()
        .try_fold(0u64, |stated, source| Some(stated.saturating_add(source.stated()?.num_samples)));
    if stated == Some(read) {
        return Ok(None);
    }
    for source in sources {
        let Some(said) = source.stated().map(|stats| stats.num_samples) else { continue };
        let found = count_samples(source, memory_budget_bytes, cancel)?;
        if said != found {
            let what = CountedPart::Samples;
            return Err(source.meta_fault(SourceFault::StatsDisagree { what, said, found }));
        }
    }
    Ok(stated.map(|stated| Mismatch::SamplesRead { stated, read }))
}
