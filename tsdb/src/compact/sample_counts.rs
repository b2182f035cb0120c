//! Whether the sources hold as many samples as their meta.json says.
//!
//! A merge counts the samples of each source as it reads them. Only if that is not what one states,
//! it is read once more, by the same uncached reader, to find out whether it is to blame.

use std::sync::Arc;

use tsdb_format::chunkenc::{Encoding, ValueType};
use tsdb_format::meta::BlockStats;

use super::error::{CompactError, CountedPart, Mismatch, SourceFault};
use super::progress::CancelToken;
use super::source::Source;
use super::verify_output::count_samples;

/// Numbers of samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SampleCounts {
    pub(super) floats: u64,
    pub(super) histograms: u64,
}

impl SampleCounts {
    /// Adds those of a chunk, by its header.
    #[inline]
    pub(super) fn add(&mut self, encoding: Encoding, samples: impl Into<u64>) {
        let samples = samples.into();
        match encoding.value_type() {
            ValueType::Float => self.floats += samples,
            ValueType::Histogram | ValueType::FloatHistogram => {
                self.histograms += samples;
            }
        }
    }

    /// What of `stats` is refuted, with what was said and found.
    fn refutes(self, stats: &BlockStats) -> Option<(CountedPart, u64, u64)> {
        // Older versions don't say how many of them are histograms.
        let is_shared = stats.num_float_samples > 0 || stats.num_histogram_samples > 0;
        let floats = is_shared.then_some((stats.num_float_samples, self.floats));
        let histograms = is_shared.then_some((stats.num_histogram_samples, self.histograms));
        let all = (stats.num_samples, self.floats + self.histograms);
        let parts = [
            (CountedPart::Samples, Some(all)),
            (CountedPart::FloatSamples, floats),
            (CountedPart::HistogramSamples, histograms),
        ];
        parts.into_iter().find_map(|(what, numbers)| {
            let (said, found) = numbers?;
            (said != found).then_some((what, said, found))
        })
    }
}

/// Holds the numbers of samples in the sources' meta.json against what was counted of each, `read`
/// in all.
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
    for source in sources {
        let Some(stats) = source.stated() else { continue };
        if source.counted().refutes(stats).is_none() {
            continue;
        }
        let found = count_samples(source, memory_budget_bytes, cancel)?;
        if let Some((what, said, found)) = found.refutes(stats) {
            return Err(source.meta_fault(SourceFault::StatsDisagree { what, said, found }));
        }
    }
    let stated = sources
        .iter()
        .try_fold(0u64, |stated, source| Some(stated.saturating_add(source.stated()?.num_samples)));
    let differs = |stated: &u64| *stated != read;
    Ok(stated.filter(differs).map(|stated| Mismatch::SamplesRead { stated, read }))
}
