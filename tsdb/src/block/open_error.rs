//! Why a block can't be opened.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tsdb_format::DecodeError;
use tsdb_format::chunks::BlockChunkRef;
use tsdb_format::index::BlockSeriesRef;
use tsdb_format::meta::{InvalidBlockId, MetaError, Ulid};

use super::read_error::ReadError;
use crate::vfs::{NotAFile, Operation};

/// Why a block could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operating system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was asked of it.
        operation: Operation,
        /// The file or directory.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// A path that should lead to a block leads to something else.
    #[error("{} is not a directory, so it is not a block", path.display())]
    NotADirectory {
        /// What was to be opened.
        path: PathBuf,
    },
    /// A directory or device where a block has a file.
    #[error("{}: {found}", path.display())]
    NotAFile {
        /// Where it stands.
        path: PathBuf,
        /// What it is.
        found: NotAFile,
    },
    /// There is no meta.json.
    #[error(
        "{}: no meta.json: not a block, or one that was not written or not deleted to the end",
        dir.display()
    )]
    NoMeta {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory's name is no ULID in canonical form.
    #[error("{}: {source}", dir.display())]
    Name {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with the name.
        source: InvalidBlockId,
    },
    /// meta.json belongs to another block.
    #[error(
        "{}: meta.json is that of block {meta}; rename the directory to that, unless that exists",
        dir.display()
    )]
    OtherUlid {
        /// The directory.
        dir: PathBuf,
        /// The ULID in its meta.json.
        meta: Ulid,
    },
    /// Two directories hold blocks with the same ULID.
    #[error("{}: holds block {ulid}, which {} holds as well", dir.display(), other.display())]
    DuplicateUlid {
        /// The directory with the wrong name.
        dir: PathBuf,
        /// The directory with the right one.
        other: PathBuf,
        /// The ULID of both.
        ulid: Ulid,
    },
    /// meta.json can't be understood.
    #[error("{}: {source}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MetaError,
    },
    /// meta.json contradicts itself.
    #[error("{}: {what}", path.display())]
    MetaContent {
        /// The file.
        path: PathBuf,
        /// The contradiction.
        what: MetaRule,
    },
    /// A file does not hold what it should.
    #[error("{}: {part}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        part: FilePart,
        /// What is wrong there.
        source: DecodeError,
    },
    /// Part of the index that opening needs can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A segment that the index or a later segment calls for is not there.
    #[error("{}: the segment file is missing", path.display())]
    MissingSegment {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file among the segments has a number that is none of theirs.
    #[error("{}: no name of a segment; they are called 000001, 000002, ...", path.display())]
    SegmentName {
        /// The file.
        path: PathBuf,
    },
    /// A segment is shorter than the index says.
    #[error(
        "{}: the file ends at {len_bytes} bytes, within chunk {chunk} of series {series}: {source}",
        path.display()
    )]
    ShortSegment {
        /// The segment.
        path: PathBuf,
        /// Its length.
        len_bytes: u64,
        /// The chunk that is not whole.
        chunk: BlockChunkRef,
        /// A series that has it.
        series: BlockSeriesRef,
        /// How that shows.
        source: DecodeError,
    },
}

/// What a `meta.json` has to say whatever the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MetaRule {
    /// A block does not end before it begins.
    #[error("minTime is greater than maxTime")]
    Times,
    /// A block has an identity.
    #[error("the ULID is zero")]
    ZeroUlid,
}

/// A part of a file that opening a block looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilePart {
    /// The first bytes of an index or a segment.
    Header,
    /// The table of contents of an index.
    Toc,
    /// The symbol table of an index.
    Symbols,
    /// The postings offset table of an index.
    PostingsTable,
    /// All of a tombstones file.
    Tombstones,
}

impl fmt::Display for FilePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Toc => "table of contents, at the end of the file",
            Self::Symbols => "symbols",
            Self::PostingsTable => "postings offset table",
            Self::Tombstones => "tombstones",
        })
    }
}

impl OpenError {
    /// What the OS said of the file or directory at `path`.
    pub(crate) fn io(operation: Operation, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match NotAFile::cause_of(&source) {
            Some(found) => Self::NotAFile { path, found },
            None => Self::Io { operation, path, source },
        }
    }

    /// The file or directory that is to blame.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::NotADirectory { path }
            | Self::NotAFile { path, .. }
            | Self::Meta { path, .. }
            | Self::MetaContent { path, .. }
            | Self::Damaged { path, .. }
            | Self::MissingSegment { path }
            | Self::SegmentName { path }
            | Self::ShortSegment { path, .. } => path,
            Self::NoMeta { dir }
            | Self::Name { dir, .. }
            | Self::OtherUlid { dir, .. }
            | Self::DuplicateUlid { dir, .. } => dir,
            Self::Read(error) => error.file(),
        }
    }
}
