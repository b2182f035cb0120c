//! Checkpoints: what older segments held and is still needed, in a log of its own.
//!
//! ```text
//!   checkpoint.00000003/ + segments 4 .. to
//!        |  series that are kept; samples and exemplars not before mint; tombstones of kept series
//!        |  that reach mint; the last metadata of each kept series; of unknown types nothing
//!        v
//!   checkpoint.<to>.tmp/  closed, synced  -->  renamed to checkpoint.<to>/, synced
//! ```
//!
//! Records keep their order and their bounds; metadata comes last, by series (3.15 has it in no
//! order). Types follow the version asked for, whatever they were; 3.15 panics, or writes other
//! records over this one, where that takes a record of nothing but custom buckets from version 2 to
//! version 1. The caller removes the segments ([`Wal::truncate`]) and older checkpoints
//! ([`Wal::remove_old_checkpoints`]).
//!
//! Source: Prometheus 3.15, `tsdb/wlog/checkpoint.go`, and `truncateWAL` of its head.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{FloatHistogram, Histogram};
use tsdb_format::record::{
    FloatHistograms, HeadSeriesRef, Histograms, MetadataEntry, MetricType, Record, SampleVersion,
    encode_exemplars, encode_float_histograms, encode_histograms, encode_metadata, encode_samples,
    encode_series, encode_tombstones,
};

use super::content::{LogContent, holds_samples};
use super::segments::{SegmentId, checkpoint_dir};
use super::{Wal, WalError, WalOptions, WalReader};
use crate::vfs::Vfs;

/// Bytes of records that are collected before they are logged.
const BATCH_BYTES: usize = 1 << 20;

/// What stays, and how it is written. Start from [`CheckpointOptions::new`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CheckpointOptions {
    /// Samples and exemplars before this time are dropped, in milliseconds.
    pub mint_ms: i64,
    /// How samples are written.
    pub version: SampleVersion,
    /// How the checkpoint is written; when it is synced does not matter.
    pub wal: WalOptions,
}

impl CheckpointOptions {
    /// Drops what is before `mint_ms`, and writes samples as said.
    #[must_use]
    pub fn new(mint_ms: i64, version: SampleVersion, wal: WalOptions) -> Self {
        Self { mint_ms, version, wal }
    }
}

/// How many entries a checkpoint met, and how many of these it dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// Series.
    pub series: Share,
    /// Samples, histograms included.
    pub samples: Share,
    /// Tombstones.
    pub tombstones: Share,
    /// Exemplars.
    pub exemplars: Share,
    /// Metadata; what a later entry of the series replaces is dropped.
    pub metadata: Share,
    /// Whole records of types that are not known, or that have no place in this log: all dropped.
    pub unknown_records: u64,
}

/// Of how many entries how many were dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// All of them.
    pub total: u64,
    /// Those that are not in the checkpoint.
    pub dropped: u64,
}

impl Share {
    fn count(&mut self, is_kept: bool) -> bool {
        self.total += 1;
        self.dropped += u64::from(!is_kept);
        is_kept
    }
}

/// The last segment that a checkpoint is to stand for, given the first one and the one that was
/// written to before a new one was begun: two thirds of those in front of it. `None` if that is too
/// little to be worth it.
#[must_use]
pub fn checkpoint_end(first: u32, written: u32) -> Option<u32> {
    let last = written.checked_sub(1)?;
    let behind = u64::from(last.checked_sub(first)?) * 2 / 3;
    let end = first.checked_add(u32::try_from(behind).ok()?)?;
    (end > first).then_some(end)
}

/// Makes the checkpoint that stands for the last one and the segments up to `to`, which is behind
/// it. `content` is what is known of the segments ([`Wal::content`]), and spares reading those of
/// them whose samples are all dropped; `keep` says which series stay.
///
/// # Errors
/// The log is damaged: then there is no checkpoint, because it could miss series. Or an effect
/// failed, or a file can't be read. What was begun is removed.
pub fn checkpoint(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    to: u32,
    options: &CheckpointOptions,
    content: &LogContent,
    keep: impl Fn(HeadSeriesRef) -> bool,
) -> Result<CheckpointStats, WalError> {
    let done = checkpoint_dir(dir, to);
    let temporary = done.with_extension(format!("{to:08}.tmp"));
    vfs.remove_dir_all(&temporary)?;
    let outcome = write(vfs, dir, &temporary, to, options, content, keep).and_then(|stats| {
        vfs.sync_dir(&temporary)?;
        vfs.rename(&temporary, &done)?;
        vfs.sync_dir(dir)?;
        Ok(stats)
    });
    if outcome.is_err() {
        // The first error is the one to report.
        let _ = vfs.remove_dir_all(&temporary);
    }
    outcome
}

fn write(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    temporary: &Path,
    to: u32,
    options: &CheckpointOptions,
    content: &LogContent,
    keep: impl Fn(HeadSeriesRef) -> bool,
) -> Result<CheckpointStats, WalError> {
    let mut reader = WalReader::open_up_to(dir, to)?;
    let mut stats = CheckpointStats::default();
    let expired = |number| content.expired(number, options.mint_ms);
    reader.end_early(|number| {
        let content = expired(number)?;
        for (share, count) in [
            (&mut stats.samples, content.samples.samples),
            (&mut stats.exemplars, content.samples.exemplars),
        ] {
            share.total += count;
            share.dropped += count;
        }
        Some(content.others_end_bytes)
    });
    let wal = Wal::open(vfs.clone(), temporary, options.wal)?;
    let mut filter = Filter {
        options,
        keep,
        stats,
        metadata: BTreeMap::new(),
        histogram: Histogram::default(),
        float_histogram: FloatHistogram::default(),
    };
    let mut batch = Batch::default();
    while let Some((position, record)) = reader.next_record()? {
        let SegmentId { checkpoint, number } = position.segment;
        if holds_samples(record) && checkpoint.is_none() && expired(number).is_some() {
            continue;
        }
        let decoded = filter.pass(record, &mut batch);
        if let Err(source) = decoded {
            return Err(reader.corrupt(source));
        }
        if batch.bytes.len() > BATCH_BYTES {
            wal.log(batch.records())?;
            batch.clear();
        }
    }
    if let Some(torn) = reader.torn() {
        return Err(torn.clone().into());
    }
    wal.log(batch.records())?;
    if !filter.metadata.is_empty() {
        batch.clear();
        encode_metadata(&mut batch.bytes, filter.metadata.iter().map(entry));
        wal.log([&batch.bytes])?;
    }
    wal.close()?;
    Ok(filter.stats)
}

/// Encoded records, one behind the other.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl Batch {
    fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.ranges.iter().filter_map(|range| self.bytes.get(range.clone()))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ranges.clear();
    }

    /// What `encode` appends becomes a record, if it appends anything.
    fn add(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        if self.bytes.len() > start {
            self.ranges.push(start..self.bytes.len());
        }
    }
}

type LastMetadata = (MetricType, String, String);

fn entry<'m>((series_ref, of): (&HeadSeriesRef, &'m LastMetadata)) -> MetadataEntry<'m> {
    let (metric_type, unit, help) = of;
    MetadataEntry { series_ref: *series_ref, metric_type: *metric_type, unit, help }
}

struct Filter<'o, K> {
    options: &'o CheckpointOptions,
    keep: K,
    stats: CheckpointStats,
    metadata: BTreeMap<HeadSeriesRef, LastMetadata>,
    histogram: Histogram,
    float_histogram: FloatHistogram,
}

impl<K: Fn(HeadSeriesRef) -> bool> Filter<'_, K> {
    /// Adds what stays of a record to the batch.
    fn pass(&mut self, record: &[u8], batch: &mut Batch) -> Result<(), DecodeError> {
        let CheckpointOptions { mint_ms, version, .. } = *self.options;
        let (stats, keep) = (&mut self.stats, &self.keep);
        match Record::decode(record)? {
            Record::Series(series) => {
                let mut kept = Vec::new();
                for entry in series {
                    let entry = entry?;
                    if stats.series.count(keep(entry.series_ref)) {
                        kept.push((entry.series_ref, entry.labels));
                    }
                }
                if !kept.is_empty() {
                    batch.add(|out| encode_series(out, kept));
                }
            }
            Record::Samples(samples) => {
                let mut kept = Vec::new();
                for sample in samples {
                    let sample = sample?;
                    if stats.samples.count(sample.id.timestamp_ms >= mint_ms) {
                        kept.push(sample);
                    }
                }
                if !kept.is_empty() {
                    batch.add(|out| encode_samples(out, version, kept));
                }
            }
            Record::Tombstones(stones) => {
                let mut kept = Vec::new();
                for stone in stones {
                    let stone = stone?;
                    let is_kept = keep(stone.series_ref) && stone.interval.max >= mint_ms;
                    if stats.tombstones.count(is_kept) {
                        kept.push(stone);
                    }
                }
                if !kept.is_empty() {
                    batch.add(|out| encode_tombstones(out, kept));
                }
            }
            Record::Exemplars(exemplars) => {
                let mut kept = Vec::new();
                for exemplar in exemplars {
                    let exemplar = exemplar?;
                    if stats.exemplars.count(exemplar.timestamp_ms >= mint_ms) {
                        kept.push(exemplar);
                    }
                }
                if !kept.is_empty() {
                    batch.add(|out| encode_exemplars(out, kept));
                }
            }
            Record::Metadata(entries) => {
                for entry in entries {
                    let entry = entry?;
                    if !keep(entry.series_ref) {
                        stats.metadata.count(false);
                        continue;
                    }
                    let own = (entry.metric_type, entry.unit.to_owned(), entry.help.to_owned());
                    let is_first = self.metadata.insert(entry.series_ref, own).is_none();
                    stats.metadata.count(is_first);
                }
            }
            Record::Histograms(histograms) => self.histograms(histograms, batch)?,
            Record::FloatHistograms(histograms) => self.float_histograms(histograms, batch)?,
            _ => stats.unknown_records += 1,
        }
        Ok(())
    }

    fn histograms(
        &mut self,
        mut histograms: Histograms<'_>,
        batch: &mut Batch,
    ) -> Result<(), DecodeError> {
        let CheckpointOptions { mint_ms, version, .. } = *self.options;
        let mut kept = Vec::new();
        while let Some(id) = histograms.next(&mut self.histogram)? {
            if self.stats.samples.count(id.timestamp_ms >= mint_ms) {
                kept.push((id, self.histogram.clone()));
            }
        }
        if !kept.is_empty() {
            let mut custom = Vec::new();
            let each = kept.iter().map(|(id, histogram)| (*id, histogram));
            batch.add(|out| encode_histograms(out, &mut custom, version, each));
            batch.add(|out| out.append(&mut custom));
        }
        Ok(())
    }

    fn float_histograms(
        &mut self,
        mut histograms: FloatHistograms<'_>,
        batch: &mut Batch,
    ) -> Result<(), DecodeError> {
        let CheckpointOptions { mint_ms, version, .. } = *self.options;
        let mut kept = Vec::new();
        while let Some(id) = histograms.next(&mut self.float_histogram)? {
            if self.stats.samples.count(id.timestamp_ms >= mint_ms) {
                kept.push((id, self.float_histogram.clone()));
            }
        }
        if !kept.is_empty() {
            let mut custom = Vec::new();
            let each = kept.iter().map(|(id, histogram)| (*id, histogram));
            batch.add(|out| encode_float_histograms(out, &mut custom, version, each));
            batch.add(|out| out.append(&mut custom));
        }
        Ok(())
    }
}
