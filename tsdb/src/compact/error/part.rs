//! What an error is about: words for the parts of a block.

use std::fmt;

/// What can pass a limit of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitedPart {
    /// The number of symbols.
    Symbols,
    /// Bytes of the symbol table.
    SymbolTable,
    /// Bytes of one series' entry.
    SeriesEntry,
    /// Bytes of one postings list.
    PostingsList,
    /// The number of series that have one label.
    Postings,
    /// Bytes of the postings offset table.
    PostingsTable,
    /// Bytes of the index, up to the last series.
    Index,
}

impl fmt::Display for LimitedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symbols => "symbols",
            Self::SymbolTable => "symbol table bytes",
            Self::SeriesEntry => "bytes of one series' index entry",
            Self::PostingsList => "postings list bytes",
            Self::Postings => "postings of a label pair",
            Self::PostingsTable => "postings offset table bytes",
            Self::Index => "index bytes",
        })
    }
}

/// What can need more memory than its share of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetedPart {
    /// The maps from the sources' symbols to the merged ones.
    SymbolMaps,
    /// The chunks of one series that overlap each other, directly or through others.
    OverlappingChunks,
    /// Tombstones of blocks that are held against the one that was made of them.
    ParentTombstones,
}

impl fmt::Display for BudgetedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymbolMaps => "symbol maps",
            Self::OverlappingChunks => "overlapping chunks of one series",
            Self::ParentTombstones => "tombstones of parents that are held against their child",
        })
    }
}

/// What was found to be otherwise than it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlteredPart {
    /// `meta.json`.
    Meta,
    /// A symbol.
    Symbol,
    /// The entry of a series.
    SeriesEntry,
    /// An entry of the postings offset table.
    PostingsTableEntry,
    /// The table of contents.
    Toc,
}

impl fmt::Display for AlteredPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "meta.json",
            Self::Symbol => "a symbol",
            Self::SeriesEntry => "a series' entry in the index",
            Self::PostingsTableEntry => "an entry of the index's postings offset table",
            Self::Toc => "the index's table of contents",
        })
    }
}

/// What a checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SummedPart {
    /// The symbol table.
    SymbolTable,
    /// The entry of a series.
    SeriesEntry,
    /// The list of all series.
    AllSeries,
    /// A postings list.
    PostingsList,
    /// The postings offset table.
    PostingsTable,
    /// A chunk.
    Chunk,
    /// The table of contents at the end of an index.
    Toc,
}

impl fmt::Display for SummedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SymbolTable => "symbol table",
            Self::SeriesEntry => "series entry",
            Self::AllSeries => "postings list of all series",
            Self::PostingsList => "postings list",
            Self::PostingsTable => "postings offset table",
            Self::Chunk => "chunk",
            Self::Toc => "table of contents, at the end of the file",
        })
    }
}

/// What `meta.json` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CountedPart {
    /// Series.
    Series,
    /// Chunks.
    Chunks,
    /// Samples.
    Samples,
    /// Floats among the samples.
    FloatSamples,
    /// Histograms among the samples.
    HistogramSamples,
}

impl fmt::Display for CountedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Series => "series",
            Self::Chunks => "chunks",
            Self::Samples => "samples",
            Self::FloatSamples => "float samples",
            Self::HistogramSamples => "histogram samples",
        })
    }
}
