//! What a verification found.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::labels::write_labels;
use tsdb_format::meta::{BlockMeta, Ulid};

use crate::block::open_error::{FilePart, OpenError};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; no answer is wrong for it.
    Note,
    /// Something is not what it has to be.
    Fault,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A file or directory that can't be read.
    Unreadable,
    /// The directory's name, or a second block with the same ULID.
    Identity,
    /// meta.json is missing or wrong in itself.
    Meta,
    /// Counts in meta.json that are not those of the content.
    Stats,
    /// Samples outside of the times in meta.json.
    TimeRange,
    /// Tombstones.
    Tombstones,
    /// Header, table of contents or sections of the index.
    Index,
    /// The symbol table.
    Symbols,
    /// The entry of a series can't be read, or stands where it should not.
    Series,
    /// Series that are not sorted by their labels.
    SeriesOrder,
    /// The label set of a series.
    Labels,
    /// The postings offset table.
    PostingsTable,
    /// A postings list, in itself or against the series.
    Postings,
    /// Chunks of a series that are not in time order.
    ChunkOrder,
    /// A chunk reference that leads to no chunk.
    ChunkReference,
    /// A chunk whose checksum does not match or that can't be decoded.
    Chunk,
    /// A chunk whose samples are not what the index says, or not in order.
    Samples,
    /// A segment: its header, its absence, or bytes that belong to no series.
    Segment,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChunkPlace {
    /// Number of the segment file: 1 for `000001`.
    pub segment: u64,
    /// Offset from the start of the file, in bytes.
    pub offset: u32,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub kind: FindingKind,
    /// The file or directory.
    #[serde(serialize_with = "as_text")]
    pub file: PathBuf,
    /// Labels of the series, as Prometheus prints them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// The chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<ChunkPlace>,
    /// What is wrong, in words.
    pub detail: String,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlockCounts {
    /// Symbols of the index.
    pub symbols: u64,
    /// Series whose entry could be read.
    pub series: u64,
    /// Chunks that could be decoded; without an index, those whose checksum is right.
    pub chunks: u64,
    /// Samples in them.
    pub samples: u64,
    /// Those that are floats.
    pub float_samples: u64,
    /// Those that are histograms of either kind.
    pub histogram_samples: u64,
    /// Postings lists, that of all series among them.
    pub postings_lists: u64,
}

/// What was found in one block.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BlockReport {
    /// The block's directory.
    #[serde(serialize_with = "as_text")]
    pub dir: PathBuf,
    /// Its ULID, if meta.json could be read.
    #[serde(serialize_with = "as_optional_text")]
    pub ulid: Option<Ulid>,
    /// How much was read.
    pub counts: BlockCounts,
    /// What was found, in the order of reading.
    pub findings: Vec<Finding>,
    /// Findings that are left out here because there were too many.
    pub findings_omitted: u64,
    /// Faults, those that are left out included.
    pub faults: u64,
}

/// Two blocks whose times overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Overlap {
    /// The block that begins first, and the other.
    #[serde(serialize_with = "as_texts")]
    pub blocks: [Ulid; 2],
    /// First common millisecond, inclusive.
    pub min_time: i64,
    /// End of what is common, exclusive.
    pub max_time: i64,
}

/// What was found in a data directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Its blocks, by name.
    pub blocks: Vec<BlockReport>,
    /// Which of them overlap. That is no fault: compaction merges them.
    pub overlaps: Vec<Overlap>,
    /// Faults in all blocks.
    pub faults: u64,
}

impl BlockReport {
    /// Whether there are no faults; there may be notes.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.faults == 0
    }
}

impl VerifyReport {
    /// Whether there are no faults; there may be notes and overlaps.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.faults == 0
    }
}

/// One line.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note: ",
            Severity::Fault => "",
        };
        write!(f, "{severity}{}", self.file.display())?;
        if let Some(ChunkPlace { offset, .. }) = self.chunk {
            write!(f, ": chunk at {offset}")?;
        }
        if let Some(series) = &self.series {
            write!(f, ": series {series}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl From<BlockChunkRef> for ChunkPlace {
    fn from(chunk: BlockChunkRef) -> Self {
        Self { segment: u64::from(chunk.segment()) + 1, offset: chunk.offset() }
    }
}

/// Where findings of a block go.
#[derive(Debug)]
pub(super) struct Findings {
    dir: PathBuf,
    list: Vec<Finding>,
    max: usize,
    omitted: u64,
    faults: u64,
}

impl Findings {
    pub(super) fn new(dir: &Path, max: usize) -> Self {
        Self { dir: dir.to_owned(), list: Vec::new(), max, omitted: 0, faults: 0 }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn fault(&mut self, kind: FindingKind, file: &Path, detail: impl fmt::Display) {
        self.add(Severity::Fault, kind, file, Subject::default(), &detail);
    }

    pub(super) fn note(&mut self, kind: FindingKind, file: &Path, detail: impl fmt::Display) {
        self.add(Severity::Note, kind, file, Subject::default(), &detail);
    }

    pub(super) fn fault_of(
        &mut self,
        kind: FindingKind,
        file: &Path,
        subject: Subject<'_>,
        detail: impl fmt::Display,
    ) {
        self.add(Severity::Fault, kind, file, subject, &detail);
    }

    fn add(
        &mut self,
        severity: Severity,
        kind: FindingKind,
        file: &Path,
        subject: Subject<'_>,
        detail: &dyn fmt::Display,
    ) {
        self.faults += u64::from(severity == Severity::Fault);
        if self.list.len() >= self.max {
            self.omitted += 1;
            return;
        }
        self.list.push(Finding {
            severity,
            kind,
            file: file.to_owned(),
            series: subject.labels.map(display_labels),
            chunk: subject.chunk.map(ChunkPlace::from),
            detail: detail.to_string(),
        });
    }

    /// A part of the block that could not be opened.
    pub(super) fn open_error(&mut self, error: &OpenError) {
        let (kind, detail) = match error {
            OpenError::Io { operation, source, .. } => {
                (FindingKind::Unreadable, format!("cannot {operation}: {source}"))
            }
            OpenError::NotADirectory { .. } => {
                (FindingKind::Unreadable, "not a directory, so it is not a block".to_owned())
            }
            OpenError::NotAFile { found, .. } => (FindingKind::Unreadable, found.to_string()),
            OpenError::NoMeta { .. } => (FindingKind::Meta, "no meta.json".to_owned()),
            OpenError::Name { source, .. } => (FindingKind::Identity, source.to_string()),
            OpenError::OtherUlid { meta, .. } => {
                (FindingKind::Identity, format!("meta.json is that of block {meta}"))
            }
            OpenError::DuplicateUlid { other, ulid, .. } => {
                (FindingKind::Identity, format!("holds block {ulid}, as {} does", other.display()))
            }
            OpenError::Meta { source, .. } => (FindingKind::Meta, source.to_string()),
            OpenError::MetaContent { what, .. } => (FindingKind::Meta, what.to_string()),
            OpenError::Damaged { part: FilePart::Tombstones, source, .. } => {
                (FindingKind::Tombstones, source.to_string())
            }
            OpenError::Damaged { part, source, .. } => {
                (FindingKind::Index, format!("{part}: {source}"))
            }
            OpenError::Read(error) => (FindingKind::Index, error.to_string()),
            OpenError::MissingSegment { .. } => (FindingKind::Segment, "missing".to_owned()),
            OpenError::SegmentName { .. } => {
                (FindingKind::Segment, "no name of a segment".to_owned())
            }
            OpenError::ShortSegment { source, .. } => (FindingKind::Segment, source.to_string()),
        };
        self.fault(kind, error.path(), detail);
    }

    pub(super) fn into_report(self, meta: Option<BlockMeta>, counts: BlockCounts) -> BlockReport {
        BlockReport {
            dir: self.dir,
            ulid: meta.map(|meta| meta.ulid),
            counts,
            findings: self.list,
            findings_omitted: self.omitted,
            faults: self.faults,
        }
    }
}

/// What a finding is about, beside the file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subject<'a> {
    pub(super) labels: Option<&'a [LabelBytes<'a>]>,
    pub(super) chunk: Option<BlockChunkRef>,
}

/// Name and value of a label, of whatever bytes.
pub(super) type LabelBytes<'a> = (&'a [u8], &'a [u8]);

fn display_labels(labels: &[LabelBytes<'_>]) -> String {
    let texts: Vec<_> = labels
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .collect();
    let mut out = String::new();
    let pairs = texts.iter().map(|(name, value)| (&**name, &**value));
    // Writing to a string does not fail.
    let _ = write_labels(&mut out, pairs);
    out
}

fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn as_optional_text<S: Serializer>(id: &Option<Ulid>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn as_texts<S: Serializer>(ids: &[Ulid; 2], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(Ulid::to_string))
}
