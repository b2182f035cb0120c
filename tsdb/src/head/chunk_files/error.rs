//! What can go wrong with head chunk files.

use std::io;
use std::path::{Path, PathBuf};

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::AppendError;
use tsdb_format::record::HeadChunkRef;

use crate::vfs::VfsError;

/// Reading, writing or repairing head chunk files failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkFilesError {
    /// An effect on the disk failed.
    #[error(transparent)]
    Vfs(#[from] VfsError),
    /// A file or the directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
    /// A chunk that was written or loaded before is damaged now.
    #[error("head chunk {chunk_ref} is damaged")]
    Damaged {
        /// The chunk.
        chunk_ref: HeadChunkRef,
        /// What is wrong, and at which offset in its file.
        source: DecodeError,
    },
    /// There is no such chunk, or not any more.
    #[error("there is no head chunk {chunk_ref}")]
    Missing {
        /// The chunk that is not there.
        chunk_ref: HeadChunkRef,
    },
    /// A sample fits no chunk, so a chunk could not be encoded.
    #[error("a sample fits no chunk")]
    Unencodable(#[source] AppendError),
    /// The numbers of files are used up.
    #[error("{}: there is no file number left", dir.display())]
    Exhausted {
        /// The directory of the files.
        dir: PathBuf,
    },
    /// A sync failed earlier, so what is in the last file is not known.
    #[error("no more head chunks are written since a sync failed")]
    Broken,
    /// Loading was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl ChunkFilesError {
    pub(super) fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}
