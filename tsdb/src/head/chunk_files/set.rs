//! All files, as they are read.

use std::sync::Arc;

use tsdb_format::record::HeadChunkRef;

use super::piece::Piece;

/// A file: what is mapped of it, and behind that what is in memory.
#[derive(Debug)]
pub(super) struct FileBytes {
    pub(super) number: u32,
    /// One behind the other, from the start of the file.
    pub(super) pieces: Vec<Arc<Piece>>,
    /// Where the tail begins, in bytes from the start of the file.
    pub(super) tail_start: u32,
    /// What was written last, or is going to be.
    pub(super) tail: Vec<u8>,
}

impl FileBytes {
    /// A file that is not written to any more.
    pub(super) fn whole(number: u32, piece: Piece) -> Self {
        let tail_start = piece.bytes().len() as u32;
        Self { number, pieces: vec![Arc::new(piece)], tail_start, tail: Vec::new() }
    }

    /// A file that begins with `header`.
    pub(super) fn begun(number: u32, header: &[u8]) -> Self {
        Self { number, pieces: Vec::new(), tail_start: 0, tail: header.to_vec() }
    }

    /// Ends the tail: it is in `mapped` now, or stays in memory as it is.
    pub(super) fn push_tail(&mut self, mapped: Option<Piece>) {
        let next_start = self.tail_start + self.tail.len() as u32;
        let piece = match mapped {
            Some(piece) => {
                self.tail.clear();
                piece
            }
            None => Piece::memory(self.tail_start, std::mem::take(&mut self.tail)),
        };
        self.pieces.push(Arc::new(piece));
        self.tail_start = next_start;
    }

    /// Its length in bytes, with what was not written yet.
    #[cfg(test)]
    pub(super) fn len_bytes(&self) -> u64 {
        u64::from(self.tail_start) + self.tail.len() as u64
    }

    /// The piece that `offset` lies in; `None` if that is the tail.
    fn piece(&self, offset: u32) -> Option<&Arc<Piece>> {
        if offset >= self.tail_start {
            return None;
        }
        let behind = self.pieces.partition_point(|piece| piece.start() <= offset);
        self.pieces.get(behind.checked_sub(1)?)
    }
}

/// The files, by ascending number.
#[derive(Debug, Default)]
pub(super) struct FileSet(pub(super) Vec<FileBytes>);

/// Where a chunk is.
pub(super) enum Place<'s> {
    Piece(&'s Arc<Piece>),
    /// The tail of its file, from the chunk on; `None` behind its end.
    Tail(Option<&'s [u8]>),
}

impl FileSet {
    pub(super) fn find(&self, chunk_ref: HeadChunkRef) -> Option<Place<'_>> {
        let at = self.0.binary_search_by_key(&chunk_ref.file(), |file| file.number).ok()?;
        let file = self.0.get(at)?;
        Some(match file.piece(chunk_ref.offset()) {
            Some(piece) => Place::Piece(piece),
            None => {
                let offset = chunk_ref.offset() - file.tail_start;
                Place::Tail(file.tail.get(offset as usize..).filter(|rest| !rest.is_empty()))
            }
        })
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut FileBytes> {
        self.0.last_mut()
    }
}
