//! Samples that can't be accounted for.

use std::fmt;
use std::path::PathBuf;

use tsdb_format::meta::BlockStats;

use super::source::SourceFault;

/// A series of which not every sample can be accounted for.
#[derive(Debug)]
#[non_exhaustive]
pub struct LedgerMismatch {
    /// The first block that has the series, if it is known: where to begin to look, not a culprit.
    pub block: Option<PathBuf>,
    /// Labels of the series; empty if it is none in particular.
    pub series: String,
    /// Segment (as the file is called) and offset of the first chunk concerned in that block, if
    /// known.
    pub chunk: Option<(u32, u32)>,
    /// What differs.
    pub what: Mismatch,
    /// What differs in all, where the series was looked for after that was found.
    pub totals: Option<Mismatch>,
}

impl LedgerMismatch {
    /// Of no series in particular.
    pub(in crate::compact) fn of_all(what: Mismatch) -> Self {
        Self { block: None, series: String::new(), chunk: None, what, totals: None }
    }
}

impl fmt::Display for LedgerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was published: ")?;
        if let Some(totals) = &self.totals {
            write!(f, "{totals}; ")?;
        }
        write!(f, "{}", self.what)?;
        if !self.series.is_empty() {
            write!(f, ", series {}", self.series)?;
        }
        if let Some((segment, offset)) = self.chunk {
            write!(f, ", first chunk at byte {offset} of segment {segment:06}")?;
        }
        if let Some(block) = &self.block {
            write!(f, ", block {}", block.display())?;
        }
        write!(f, "; please report this with `tsdb-compact verify` of the sources")
    }
}

/// What of the samples that went in and those that came out can't be accounted for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Not all chunks that a series of the sources lists were read.
    #[error("{fetched} of {listed} chunks of the sources were fetched, or others than they list")]
    Fetched {
        /// Chunks that were read.
        fetched: u64,
        /// Chunks that the sources list.
        listed: u64,
    },
    /// Not all records that were made were written.
    #[error("{written} of {emitted} chunks were written whole, or others than were to be written")]
    Written {
        /// Records that were found in what went to the segment.
        written: u64,
        /// Records that were to be written.
        emitted: u64,
    },
    /// A series changed its labels on the way.
    #[error("a series with other labels than its sources have")]
    Labels,
    /// A series came twice, or in the wrong place.
    #[error("a series that was written already, or out of order")]
    Order,
    /// The ledger does not balance.
    #[error("{taken} samples went in, {given} came out and {left_out} were left out for a reason")]
    Samples {
        /// Samples in the sources' chunks.
        taken: u64,
        /// Samples in the output's chunks.
        given: u64,
        /// Samples that were left out for a reason that has a name.
        left_out: u64,
    },
    /// A series' entry in the index lists other chunks.
    #[error("the entry in the index is not that of the chunks that were written")]
    Entry,
    /// Postings and labels disagree.
    #[error(
        "the postings have {written} of {listed} references, or others than the series' labels ask \
         for"
    )]
    Postings {
        /// References that were written.
        written: u64,
        /// References that the labels ask for.
        listed: u64,
    },
    /// Re-encoding made other samples.
    #[error("re-encoded chunks decode to other samples than went into them")]
    Reencoded,
    /// A long series is walked twice, and the second walk was another one.
    #[error("the chunks of a long series were planned otherwise than merged")]
    OutOfStep,
    /// Not all chunks that the sources list were read.
    #[error("{fetched} of {listed} chunks of the sources were compacted")]
    Compacted {
        /// Chunks that were read.
        fetched: u64,
        /// Chunks that the sources list.
        listed: u64,
    },
    /// The index does not list what was written.
    #[error(
        "{series} series with {chunks} chunks were written, but the index lists {indexed_series} \
         with {indexed_chunks}"
    )]
    Indexed {
        /// Series that were written.
        series: u64,
        /// Their chunks.
        chunks: u64,
        /// Series that the index lists.
        indexed_series: u64,
        /// Their chunks.
        indexed_chunks: u64,
    },
    /// Each source holds as many samples as it says, and yet another number was read.
    #[error("the sources hold {stated} samples, but {read} were read")]
    SamplesRead {
        /// Samples that the sources hold, all together.
        stated: u64,
        /// Samples that were read.
        read: u64,
    },

    /// A label of a series is not among the symbols of its head.
    #[error("a label is not among the head's symbols")]
    HeadSymbols,
    /// A chunk of the head and the head disagree.
    #[error("a chunk of the head holds {stated} samples by its header, and {counted} by the head")]
    HeadChunk {
        /// Samples, as the chunk's header has it; 0 if it can't be read.
        stated: u16,
        /// Samples that the head counts.
        counted: u16,
    },
    /// A file of the written block is not what it should be.
    #[error("reading back {}: {fault}", file.display())]
    ReadBack {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: SourceFault,
    },
    /// The index of the written block has gaps.
    #[error("sections of the index do not follow each other")]
    Sections,
    /// The segments of the written block have more in them than chunks.
    #[error("bytes of the chunk segments belong to no series")]
    Unreferenced,
    /// The written block holds something else than its `meta.json` will say.
    #[error("it holds {found:?}, meta.json will say {said:?}")]
    Stats {
        /// What it holds.
        found: Box<BlockStats>,
        /// What `meta.json` will say.
        said: Box<BlockStats>,
    },
    /// A series of the output is in none of the sources.
    #[error("the output has a series that no source has")]
    UnknownSeries,
    /// A chunk of a source is missing.
    #[error("a chunk of the source is not in the output")]
    MissingChunk,
    /// A chunk has other times than that of the source.
    #[error("the output has a chunk of other times in its place")]
    OtherTimes,
    /// A chunk is another one than that of the source.
    #[error("the output has another chunk in its place")]
    OtherChunk,
    /// There is a chunk more than there should be.
    #[error("the output has a chunk more than its sources")]
    ExtraChunk,
    /// A sample of a source is missing.
    #[error("the sample at {time} is not in the output")]
    MissingSample {
        /// Its timestamp in milliseconds.
        time: i64,
    },
    /// A sample is none of those that the sources have at its time.
    #[error("the sample at {time} differs from that of every source")]
    OtherSample {
        /// Its timestamp in milliseconds.
        time: i64,
    },
    /// There is a sample more than there should be.
    #[error("the output has a sample at {time} that no source has there")]
    ExtraSample {
        /// Its timestamp in milliseconds.
        time: i64,
    },
}

/// A sample of a parent that its child does not hold.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotHeld {
    /// The parent's directory.
    pub parent: PathBuf,
    /// Labels of the series.
    pub series: String,
    /// What the child lacks or has differently.
    pub what: Lack,
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, series {}, of {}", self.what, self.series, self.parent.display())
    }
}

/// What a block does not hold of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lack {
    /// Nothing stands at a sample's time.
    #[error("it lacks the sample at {time}")]
    Missing {
        /// The timestamp in milliseconds.
        time: i64,
    },
    /// Something else stands there.
    #[error("it has another sample at {time}")]
    Other {
        /// The timestamp in milliseconds.
        time: i64,
    },
}
