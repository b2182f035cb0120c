//! What was read, against what meta.json and the tombstones say.

use std::path::Path;

use tsdb_format::meta::BlockMeta;
use tsdb_format::tombstones::Tombstones;

use super::report::{BlockCounts, FindingKind, Findings};

/// Counts and times of all that was read.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) counts: BlockCounts,
    /// Times of the first and the last sample in milliseconds.
    pub(super) times: Option<(i64, i64)>,
    /// Whether something could not be read, so that counts are too low.
    pub(super) incomplete: bool,
}

impl Content {
    pub(super) fn add_times(&mut self, first: i64, last: i64) {
        let (min, max) = self.times.unwrap_or((first, last));
        self.times = Some((min.min(first), max.max(last)));
    }

    pub(super) fn compare(
        &self,
        dir: &Path,
        meta: Option<&BlockMeta>,
        tombstones: Option<&Tombstones>,
        findings: &mut Findings,
    ) {
        let path = dir.join("meta.json");
        let Some(meta) = meta else { return };
        let mut compare = |what: &str, said: u64, found: u64| {
            if said != found {
                let detail = format!("says {said} {what}, the block has {found}");
                findings.fault(FindingKind::Stats, &path, detail);
            }
        };
        if !self.incomplete {
            let (stats, counts) = (&meta.stats, &self.counts);
            compare("series", stats.num_series, counts.series);
            compare("chunks", stats.num_chunks, counts.chunks);
            compare("samples", stats.num_samples, counts.samples);
            // Prometheus did not count them apart before 2.54.
            if stats.num_float_samples + stats.num_histogram_samples > 0 {
                compare("float samples", stats.num_float_samples, counts.float_samples);
                compare("histogram samples", stats.num_histogram_samples, counts.histogram_samples);
            }
        }
        if let Some(tombstones) = tombstones
            && meta.stats.num_tombstones != tombstones.len() as u64
        {
            // They are written first, and meta.json behind them.
            let (said, found) = (meta.stats.num_tombstones, tombstones.len());
            let detail = format!(
                "says {said} tombstones, the block has {found}, as a crash may leave it: those of \
                 the block count"
            );
            findings.note(FindingKind::Stats, &path, detail);
        }
        if let Some((first, last)) = self.times
            && (first < meta.min_time || last >= meta.max_time)
        {
            let detail = format!(
                "says that samples lie from {} to {} (exclusive), they lie from {first} to {last}",
                meta.min_time, meta.max_time
            );
            findings.fault(FindingKind::TimeRange, &path, detail);
        }
    }
}
