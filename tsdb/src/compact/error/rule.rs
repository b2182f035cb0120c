//! The rules that a source can break.

/// A rule of the format that the bytes of a block break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SourceRule {
    /// `meta.json`: an empty or negative span of time.
    #[error("minTime is not below maxTime")]
    Times,
    /// `meta.json`: a level that no child could pass.
    #[error("compaction.level is the highest there is: nothing could be made of the block")]
    HighestLevel,

    /// A segment file is shorter than its header.
    #[error("file is too short for a chunk segment")]
    SegmentTooShort,
    /// A file among the segments is none.
    #[error("not a chunk segment: wrong magic number")]
    SegmentMagic,
    /// A segment of another version.
    #[error("unsupported version of chunk segments")]
    SegmentVersion,
    /// Of a block that we wrote: any byte of a segment's header.
    #[error("wrong header of the segment file")]
    SegmentHeader,
    /// There is a segment behind this one, but not this one.
    #[error("the segment file is missing")]
    SegmentMissing,
    /// A number among the segments' names that is none of theirs.
    #[error("no name of a segment; they are called 000001, 000002, ...")]
    SegmentName,

    /// A chunk that is longer than any.
    #[error("chunk of absurd length")]
    ChunkTooLong,
    /// No number stands where a chunk's length should.
    #[error("chunk without a length")]
    ChunkWithoutLength,
    /// A chunk ends within itself.
    #[error("chunk record is cut off")]
    ChunkCutOff,

    /// The index is shorter than header and table of contents.
    #[error("file is too short for an index")]
    IndexTooShort,
    /// The index is none.
    #[error("not an index: wrong magic number")]
    IndexMagic,
    /// An index of another version.
    #[error("unsupported index version")]
    IndexVersion,
    /// The table of contents contradicts itself.
    #[error("sections of the index are out of order")]
    SectionsOutOfOrder,

    /// The symbol table ends before its count.
    #[error("symbol table ends within its header")]
    SymbolTableHeader,
    /// Length or count of the symbol table can't be right.
    #[error("symbol table is longer than its section")]
    SymbolTableTooLong,
    /// Its count says something else than its length.
    #[error("symbol table length and count disagree")]
    SymbolTableCount,
    /// It ends before it should.
    #[error("symbol table is cut off")]
    SymbolTableCutOff,
    /// It ends within a symbol.
    #[error("symbol table ends within a symbol")]
    SymbolCutOff,
    /// A symbol does not come behind the one before it.
    #[error("symbols are not sorted")]
    SymbolsNotSorted,

    /// The section of the series ends where an entry should begin.
    #[error("series section ends in padding")]
    SeriesEndInPadding,
    /// Of a block that we wrote: what stands between two series.
    #[error("padding between series is not zero")]
    SeriesPadding,
    /// Of a block that we wrote: what stands behind the last series.
    #[error("bytes behind the last series")]
    BytesBehindSeries,
    /// No number stands where an entry's length should.
    #[error("series entry without a length")]
    EntryWithoutLength,
    /// An entry does not fit into its section.
    #[error("series entry is longer than its section")]
    EntryTooLong,
    /// An entry ends within itself.
    #[error("series entry is cut off")]
    EntryCutOff,
    /// An entry ends within one of its numbers.
    #[error("series entry ends within a value")]
    EntryEndsInValue,
    /// An entry goes on behind its last chunk.
    #[error("series entry has bytes to spare")]
    EntryBytesToSpare,
    /// An entry was read twice and was not the same.
    #[error("series entry reads back differently")]
    EntryReadsBackDifferently,
    /// A series does not come behind the one before it.
    #[error("series are not sorted by labels")]
    SeriesNotSorted,
    /// Label names are not in order, or occur twice.
    #[error("labels of a series are not sorted")]
    LabelsNotSorted,
    /// The empty label set.
    #[error("a series without labels")]
    NoLabels,
    /// A chunk ends before it begins, or begins before the one in front of it ends.
    #[error("chunks of a series are not in time order")]
    ChunksNotInOrder,

    /// The list of all series ends before it should.
    #[error("the postings list of all series is cut off")]
    AllSeriesCutOff,
    /// The list of all series is not the first one.
    #[error("the postings offset table does not begin with the list of all series")]
    AllSeriesNotFirst,
    /// The list of all series is said to be somewhere else.
    #[error("the list of all series lies outside of the postings")]
    AllSeriesOutside,
    /// The series section has more series than their list.
    #[error("series that the postings of all series don't list")]
    SeriesNotListed,
    /// An entry does not stand where the list of all series says.
    #[error("series and the postings of all series disagree")]
    AllSeriesDisagree,

    /// The postings offset table ends before it should.
    #[error("postings offset table is cut off")]
    PostingsTableCutOff,
    /// Its length field is wrong.
    #[error("wrong length of the postings offset table")]
    PostingsTableLength,
    /// An entry does not come behind the one before it.
    #[error("postings offset table is not sorted")]
    PostingsTableNotSorted,
    /// The first list is one of a label.
    #[error("the first postings list is not that of all series")]
    FirstListNotAll,
    /// There are lists behind the last one in the table.
    #[error("postings that the offset table does not list")]
    PostingsNotListed,
    /// What stands between two lists.
    #[error("padding between postings lists is not zero")]
    PostingsPadding,
    /// There is room between two lists, or they share some.
    #[error("postings lists do not follow each other")]
    ListsNotAdjacent,
    /// A list ends before it should.
    #[error("a postings list is cut off")]
    ListCutOff,
    /// The length field of a list is wrong.
    #[error("wrong length of a postings list")]
    ListLength,
    /// A reference does not come behind the one before it.
    #[error("postings are not in order")]
    ListNotSorted,
    /// The lists say something else than the series.
    #[error("postings and series disagree")]
    PostingsDisagree,
}

/// What the index says of a chunk and the chunk does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Disagreement {
    /// Its sources are deleted afterwards, so nothing of it may be left out.
    #[error(
        "a chunk reaches outside of the times in meta.json, and its samples there would be lost; \
         correct minTime and maxTime there, or use `merge`, which leaves them out as Prometheus does \
         and keeps the sources"
    )]
    ReachesOut,
    /// Its first sample is another one.
    #[error("the chunk does not begin when the index says")]
    Start,
    /// Its last sample is another one.
    #[error("the chunk does not end when the index says")]
    End,
    /// Its first sample is another one, and it is needed before it is decoded.
    #[error(
        "the chunk does not begin when the index says, and the series is too large to be merged in \
         one piece"
    )]
    StartOfLong,
    /// It ends later, so what follows it was taken to be apart.
    #[error(
        "a chunk ends later than the index says, and the series is too large to be merged in one \
         piece"
    )]
    EndOfLong,
    /// Its samples are not in order.
    #[error("samples of the chunk are not in time order")]
    SamplesNotInOrder,
    /// Of a block that we wrote: it does not begin where the one before it ends.
    #[error("chunks do not follow each other")]
    NotAdjacent,
}
