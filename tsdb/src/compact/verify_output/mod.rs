//! `--verify-output`: the written block, read back and held against its sources.
//!
//! What is read is what the disk has: files are opened anew, past the page cache where that works.
//! What is compared was computed by none of the code that wrote the block. It walks the sources
//! once more, by label strings, and holds each series against the output's.
//!
//! ```text
//! sources   series by labels ─┐             plain: no overlap, nothing deleted, all in range
//!                             ├─ per series ── records equal, byte by byte, times too
//! output    series by labels ─┘             else: decoded, sample by sample
//!           |                                  - every timestamp of the output is in a source
//!           |                                  - every timestamp of a source that is neither
//!           |                                    deleted nor out of range is in the output, once
//!           |                                  - its sample equals one of the sources' there
//!           v
//!           every byte: checksums, order, padding; records without gaps; counts of meta.json;
//!           postings equal to the series' labels, both ways
//! ```
//!
//! Memory is within the budget, whatever the size of a series: windows, some groups of symbols for
//! each block, and the chunk list of one series for each while it is short.

mod block;
mod chunk_list;
mod count;
mod fetch;
mod holds;
mod layout;
mod postings;
mod scan;
mod symbols;

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use tsdb_format::meta::BlockMeta;

use self::block::{Block, BlockShares};
use self::chunk_list::Listed;
pub(super) use self::count::count_samples;
pub(super) use self::holds::Holds;
use super::error::{CompactError, LedgerMismatch, Mismatch, SourceError};
use super::files::FilePool;
use super::heap::TieHeap;
use super::ledger::Ledger;
use super::progress::{CancelToken, Phase, Progress};
use super::source::Source;
use crate::vfs::Vfs;

/// How often cancellation is looked for.
const SERIES_PER_CHECK: u64 = 256;

/// A block that was written, and what it was made of.
pub(super) struct VerifyOutput<'a> {
    pub(super) vfs: &'a Arc<dyn Vfs>,
    /// The directory in which the block was written.
    pub(super) dir: &'a Path,
    /// Its meta, which is not written yet.
    pub(super) meta: &'a BlockMeta,
    /// Lengths of its segment files.
    pub(super) segments: Vec<u64>,
    pub(super) sources: &'a [Arc<Source>],
    pub(super) ledger: &'a Ledger,
    pub(super) memory_budget_bytes: u64,
    pub(super) progress: &'a Progress,
    pub(super) cancel: &'a CancelToken,
}

impl VerifyOutput<'_> {
    /// Reads the block and compares.
    ///
    /// # Errors
    /// [`CompactError::VerifyOutput`] at the first difference. A source that can't be read, or in
    /// which index and chunk disagree, is an error of its own.
    pub(super) fn run(self) -> Result<(), CompactError> {
        self.progress.enter(Phase::Verify);
        self.progress.begin(self.segments.iter().sum());
        let dir = self.dir;
        self.compare().map_err(|error| match error {
            CompactError::Source(error) if error.block == dir => of_output(*error),
            error => error,
        })
    }

    fn compare(&self) -> Result<(), CompactError> {
        let output = self.open_output()?;
        let shares = self.shares();
        let mut comparison = Comparison {
            output: Block::output(&output, shares)?,
            sources: Vec::with_capacity(self.sources.len()),
            order: TieHeap::default(),
            times: TieHeap::default(),
            group: Vec::new(),
            range: (self.meta.min_time, self.meta.max_time.saturating_sub(1)),
            at_min_time: self.ledger.at_min_time > 0,
        };
        check_sections(&output, &comparison.output)?;
        for source in self.sources {
            comparison.sources.push(Block::source(source, shares)?);
        }
        comparison.begin()?;
        let mut series = 0u64;
        let mut told = 0;
        while comparison.next_series()? {
            series += 1;
            if series.is_multiple_of(SERIES_PER_CHECK) {
                self.cancel.check()?;
                let bytes = comparison.output.layout.as_ref().map_or(0, |l| l.record_bytes);
                self.progress.add(bytes - told, SERIES_PER_CHECK);
                told = bytes;
            }
        }
        let Some(layout) = &comparison.output.layout else { unreachable!("the output has one") };
        layout.finish(&self.meta.stats).map_err(|what| self.mismatch(what))?;
        self.cancel.check()?;
        postings::check(&output, &layout.postings, shares.series_window, self.cancel)
    }

    fn open_output(&self) -> Result<Arc<Source>, CompactError> {
        let pool = FilePool::new(Arc::clone(self.vfs), vec![self.dir.to_owned()], 2);
        let source = Source::open(
            0,
            self.dir.to_owned(),
            self.meta.clone(),
            self.segments.clone(),
            Arc::new(pool),
        )?;
        Ok(Arc::new(source))
    }

    fn shares(&self) -> BlockShares {
        block_shares(self.memory_budget_bytes, self.sources.len())
    }

    fn mismatch(&self, what: Mismatch) -> CompactError {
        mismatch(Some(self.dir), String::new(), None, what)
    }
}

/// What each block may use where one is held against `others` of them.
fn block_shares(memory_budget_bytes: u64, others: usize) -> BlockShares {
    // A third of the budget: what the stages have freed is not all given back by then.
    let share = memory_budget_bytes / (others as u64 + 1);
    let window = |part: u64, max: u64| (share / part).clamp(4 << 10, max) as usize & !4095;
    BlockShares {
        series_window: window(12, 512 << 10),
        chunk_window: window(8, 1 << 20),
        symbols: share / 8,
    }
}

/// An error of the output is a mismatch: nobody else has seen that block.
fn of_output(error: SourceError) -> CompactError {
    let SourceError { block, file, series, chunk, fault, .. } = error;
    CompactError::VerifyOutput(Box::new(LedgerMismatch {
        block: Some(block),
        series: series.unwrap_or_default(),
        chunk,
        what: Mismatch::ReadBack { file, fault },
        totals: None,
    }))
}

fn mismatch(
    block: Option<&Path>,
    series: String,
    chunk: Option<&Listed>,
    what: Mismatch,
) -> CompactError {
    let chunk = chunk.map(|chunk| ((chunk.reference >> 32) as u32 + 1, chunk.reference as u32));
    let block = block.map(Path::to_owned);
    CompactError::VerifyOutput(Box::new(LedgerMismatch {
        block,
        series,
        chunk,
        what,
        totals: None,
    }))
}

impl Block {
    /// That the output lacks `chunk` of the current series, or has something else in its place.
    #[cold]
    fn mismatch(&self, chunk: &Listed, what: Mismatch) -> CompactError {
        let series = self.scan.labels().to_string();
        mismatch(Some(self.scan.source().dir()), series, Some(chunk), what)
    }
}

/// The sections of an index that we wrote follow each other without gaps.
fn check_sections(output: &Source, block: &Block) -> Result<(), CompactError> {
    let (symbols, series) = (output.symbols_section(), output.series_section());
    let postings = output.postings_section();
    let ordered = output.index_version() == 2
        && symbols.start == 5
        && block.scan.strings().end() == Some(symbols.end)
        && symbols.end == series.start
        && series.end == postings.start;
    if ordered {
        return Ok(());
    }
    Err(mismatch(Some(output.dir()), String::new(), None, Mismatch::Sections))
}

/// All blocks, at one series.
struct Comparison {
    output: Block,
    sources: Vec<Block>,
    /// The sources by the labels of their current series.
    order: TieHeap,
    /// Those of the current series by the time of their current sample.
    times: TieHeap,
    /// The sources that have the current series.
    group: Vec<u32>,
    /// Times of the merged block, both inclusive.
    range: (i64, i64),
    /// Whether samples at `i64::MIN` may be missing: a vertical merge can't hold them.
    at_min_time: bool,
}

impl Comparison {
    fn begin(&mut self) -> Result<(), CompactError> {
        self.output.advance()?;
        for id in 0..self.sources.len() as u32 {
            self.enter(id)?;
        }
        Ok(())
    }

    /// Moves a source to its next series.
    fn enter(&mut self, id: u32) -> Result<(), CompactError> {
        let sources = &mut self.sources;
        if sources[id as usize].advance()? {
            let labels = |id: u32| sources[id as usize].scan.labels();
            self.order.push(id, |a, b| labels(a).compare(labels(b)) == Ordering::Less);
        }
        Ok(())
    }

    /// Compares the next series of all blocks; false when there is none.
    fn next_series(&mut self) -> Result<bool, CompactError> {
        self.take_group();
        let Some(&first) = self.group.first() else {
            return if self.output.scan.is_ended() {
                Ok(false)
            } else {
                Err(self.unknown_series())
            };
        };
        let order = if self.output.scan.is_ended() {
            Ordering::Less
        } else {
            self.sources[first as usize].scan.labels().compare(self.output.scan.labels())
        };
        match order {
            Ordering::Greater => return Err(self.unknown_series()),
            Ordering::Less => self.compare_samples(false)?,
            Ordering::Equal => {
                if self.sort_plain() {
                    self.compare_records()?;
                } else {
                    self.compare_samples(true)?;
                }
                self.output.advance()?;
            }
        }
        for at in 0..self.group.len() {
            self.enter(self.group[at])?;
        }
        Ok(true)
    }

    #[cold]
    fn unknown_series(&self) -> CompactError {
        let scan = &self.output.scan;
        let (dir, labels) = (scan.source().dir(), scan.labels().to_string());
        mismatch(Some(dir), labels, scan.chunks().first(), Mismatch::UnknownSeries)
    }

    /// Takes the sources with the next series off the heap.
    fn take_group(&mut self) {
        self.group.clear();
        let sources = &self.sources;
        let compare = |a: u32, b: u32| {
            let [a, b] = [a, b].map(|id| sources[id as usize].scan.labels());
            a.compare(b)
        };
        while let Some(top) = self.order.peek() {
            let same = |&first: &u32| compare(first, top) == Ordering::Equal;
            if !self.group.first().is_none_or(same) {
                break;
            }
            self.order.pop(|a, b| compare(a, b) == Ordering::Less);
            self.group.push(top);
        }
    }

    /// Whether the output must have the series' chunks as they are. Sorts the group by time then.
    fn sort_plain(&mut self) -> bool {
        let sources = &self.sources;
        let chunks = |id: u32| sources[id as usize].scan.chunks();
        let inside = |id: &u32| {
            !sources[*id as usize].has_deleted()
                && chunks(*id).first().is_none_or(|chunk| chunk.min_time >= self.range.0)
                && chunks(*id).last().is_none_or(|chunk| chunk.max_time <= self.range.1)
        };
        if !self.group.iter().all(inside) {
            return false;
        }
        self.group.sort_by_key(|&id| chunks(id).first().map(|chunk| chunk.min_time));
        let mut end = None;
        self.group.iter().all(|&id| {
            let (Some(first), Some(last)) = (chunks(id).first(), chunks(id).last()) else {
                return true;
            };
            let follows = end.is_none_or(|end| end < first.min_time);
            end = Some(last.max_time);
            follows
        })
    }

    /// The output's chunks are those of the sources, one after the other.
    fn compare_records(&mut self) -> Result<(), CompactError> {
        for &id in &self.group {
            let source = &mut self.sources[id as usize];
            while let Some(wanted) = source.scan.next_chunk()? {
                let Some(found) = self.output.scan.next_chunk()? else {
                    return Err(source.mismatch(&wanted, Mismatch::MissingChunk));
                };
                if (found.min_time, found.max_time) != (wanted.min_time, wanted.max_time) {
                    return Err(source.mismatch(&wanted, Mismatch::OtherTimes));
                }
                let theirs = self.output.read(found)?;
                let ours = source.read(wanted)?;
                if source.bytes(&ours) != self.output.bytes(&theirs) {
                    return Err(source.mismatch(&wanted, Mismatch::OtherChunk));
                }
            }
        }
        match self.output.scan.next_chunk()? {
            None => Ok(()),
            Some(chunk) => Err(self.blame_output(Some(&chunk), Mismatch::ExtraChunk)),
        }
    }

    #[cold]
    fn blame_output(&self, chunk: Option<&Listed>, what: Mismatch) -> CompactError {
        let scan = &self.output.scan;
        mismatch(Some(scan.source().dir()), scan.labels().to_string(), chunk, what)
    }

    /// Holds the samples of the group against those of the output, or against none.
    fn compare_samples(&mut self, in_output: bool) -> Result<(), CompactError> {
        self.times.clear();
        for at in 0..self.group.len() {
            self.next_sample(self.group[at])?;
        }
        let everything = (i64::MIN, i64::MAX);
        let mut found = if in_output { self.output.next_sample(everything)? } else { None };
        while let Some(top) = self.times.peek() {
            let Some(time) = self.sources[top as usize].time() else {
                unreachable!("only sources with a sample are in the heap")
            };
            if found.is_some_and(|found| found < time) {
                break;
            }
            if found != Some(time) && !(self.at_min_time && time == i64::MIN) {
                return Err(self.missing_sample(top, time));
            }
            let equal = self.leave_time(time, found)?;
            if found == Some(time) {
                if !equal {
                    let what = Mismatch::OtherSample { time };
                    return Err(self.blame_output(self.output.current_chunk(), what));
                }
                found = self.output.next_sample(everything)?;
            }
        }
        match found {
            None => Ok(()),
            Some(time) => {
                let what = Mismatch::ExtraSample { time };
                Err(self.blame_output(self.output.current_chunk(), what))
            }
        }
    }

    /// Moves a source to its next sample.
    fn next_sample(&mut self, id: u32) -> Result<(), CompactError> {
        let sources = &mut self.sources;
        if sources[id as usize].next_sample(self.range)?.is_some() {
            let time = |id: u32| sources[id as usize].time();
            self.times.push(id, |a, b| time(a) < time(b));
        }
        Ok(())
    }

    /// Moves all sources on that have a sample at `time`; whether one of theirs is the output's.
    fn leave_time(&mut self, time: i64, found: Option<i64>) -> Result<bool, CompactError> {
        let mut equal = false;
        while let Some(top) = self.times.peek() {
            let sources = &self.sources;
            if sources[top as usize].time() != Some(time) {
                break;
            }
            if found == Some(time) && !equal {
                equal = sources[top as usize].digest() == self.output.digest();
            }
            let times = |id: u32| sources[id as usize].time();
            self.times.pop(|a, b| times(a) < times(b));
            self.next_sample(top)?;
        }
        Ok(equal)
    }

    #[cold]
    fn missing_sample(&self, id: u32, time: i64) -> CompactError {
        let source = &self.sources[id as usize];
        let series = source.scan.labels().to_string();
        let what = Mismatch::MissingSample { time };
        mismatch(Some(source.scan.source().dir()), series, source.current_chunk(), what)
    }
}
