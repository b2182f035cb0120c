//! The rules of the formats that bytes can break, and what of them can be too large.

use std::fmt;

/// A rule of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A float is packed into some of 64 bits.
    #[error("a float's window is over 64 bits")]
    FloatWindow,
    /// Only floats can be read from a chunk of floats.
    #[error("a histogram chunk where floats are wanted")]
    FloatsWanted,
    /// A histogram's schema is one of those that Prometheus knows.
    #[error("unknown histogram schema")]
    HistogramSchema,
    /// A histogram's schema has 32 bits.
    #[error("a histogram's schema is over 32 bits")]
    HistogramSchemaWidth,
    /// Spans behind the first one begin behind those in front of them.
    #[error("a span's offset is negative")]
    SpanOffset,
    /// A span's offset has 32 bits.
    #[error("a span's offset is over 32 bits")]
    SpanOffsetWidth,
    /// A span's length has 32 bits.
    #[error("a span's length is over 32 bits")]
    SpanLengthWidth,
    /// A histogram has the buckets that its spans ask for.
    #[error("as many buckets as spans have are wanted")]
    BucketsOfSpans,

    /// Text is UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A symbol is UTF-8.
    #[error("symbol is not UTF-8")]
    SymbolUtf8,
    /// A label is UTF-8.
    #[error("label is not UTF-8")]
    LabelUtf8,

    /// The sections of an index have an order.
    #[error("the sections of the index are out of order")]
    IndexSections,
    /// A section ends where the next one begins.
    #[error("a section reaches into the next one")]
    SectionEnd,
    /// What stands between sections is zeros.
    #[error("padding is not zero")]
    Padding,
    /// A series stands behind the start of the series.
    #[error("reference points in front of all series")]
    SeriesReference,
    /// An entry holds as many labels as it says.
    #[error("series entry ends within its labels")]
    EntryLabels,
    /// An entry holds as many chunks as it says.
    #[error("series entry ends within its chunks")]
    EntryChunks,
    /// An entry ends behind its chunks.
    #[error("series entry has bytes to spare")]
    EntryEnd,
    /// A timestamp has 64 bits.
    #[error("time of a chunk is out of range")]
    ChunkTime,
    /// A chunk reference has 64 bits.
    #[error("chunk reference is out of range")]
    ChunkReference,
    /// A list is as long as its count says.
    #[error("postings list has another length than its count says")]
    PostingsLength,
    /// The postings offset table holds as many entries as it says.
    #[error("postings offset table: entry is cut off")]
    PostingsTableEntry,
    /// The postings offset table ends behind its entries.
    #[error("postings offset table has bytes to spare")]
    PostingsTableEnd,
    /// The postings offset table lists the list of all series.
    #[error("the postings offset table has no entry for it")]
    AllSeriesEntry,

    /// Each fragment is of a kind that is known.
    #[error("unknown kind of fragment")]
    FragmentKind,
    /// A fragment ends with its page.
    #[error("a fragment is longer than its page")]
    FragmentLength,
    /// A record ends before the next one begins.
    #[error("a record begins within another")]
    RecordWithinRecord,
    /// A record has a first fragment.
    #[error("a record without a beginning")]
    RecordWithoutStart,
    /// All fragments of a record are compressed alike.
    #[error("a record changes its compression")]
    RecordCompression,
    /// A log's series references are given one after the other.
    #[error("a series reference is out of all proportion")]
    HeadSeriesReference,
    /// Chunk files of a head are numbered without a gap.
    #[error("files are missing in front of this one")]
    ChunkFileSequence,
    /// Chunks of a series in order come in the order of their times.
    #[error("a chunk is out of sequence")]
    ChunkSequence,
    /// What ends a page is zeros.
    #[error("padding is not all zeros, or not at the end of a segment")]
    PagePadding,
    /// What snappy compressed can be decompressed.
    #[error("a record is not what snappy makes")]
    Snappy,
    /// What zstd compressed can be decompressed.
    #[error("a record is not what zstd makes")]
    Zstd,
}

/// What can be larger than the input or a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// Bytes of a chunk.
    ChunkLength,
    /// Where in its file a chunk of the head stands.
    FileOffset,
    /// The number of a segment.
    SegmentNumber,
    /// Bytes of a section of the index.
    SectionLength,
    /// Bytes of a series entry.
    SeriesEntryLength,
    /// What a series entry calls a symbol.
    SymbolReference,
    /// Bytes of a record once it is decompressed.
    DecompressedLength,
    /// Labels of a series.
    Labels,
    /// Fields of a series' metadata.
    MetadataFields,
    /// Spans of a histogram.
    Spans,
    /// Buckets of a histogram.
    Buckets,
    /// Bounds of a histogram with custom buckets.
    CustomBounds,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChunkLength => "chunk length",
            Self::FileOffset => "offset",
            Self::SegmentNumber => "segment number",
            Self::SectionLength => "section length",
            Self::SeriesEntryLength => "series entry length",
            Self::SymbolReference => "symbol reference",
            Self::DecompressedLength => "decompressed length",
            Self::Labels => "label count",
            Self::MetadataFields => "metadata field count",
            Self::Spans => "span count",
            Self::Buckets => "bucket count",
            Self::CustomBounds => "custom bound count",
        })
    }
}
