//! The reading side: any range, read as whole blocks and trimmed.
//!
//! ```text
//!  file    ...|........|........|........|..        blocks of `read_offset_align`
//!                 ^ offset          ^ offset + len
//!  read       [--------------------------)          the blocks touched, into aligned memory
//!  returned       [-----------------)               a view of it, shorter at the end of the file
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::buffer::{AlignedBuf, DEFAULT_ALIGN};
use crate::error::{Errno, Error, Operation};
use crate::policy::{Alignment, FallbackReason, Mode, Policy};
use crate::probe::{guessed, is_refusal};
use crate::stats::{Counters, add};
use crate::sys::{self, Offer};

/// A file opened for reading, past the page cache where that is its mode. Shared between
/// threads freely: each brings its own [`AlignedBuf`].
///
/// Reading never evicts anything: pages that others have cached of this file stay cached.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    len_bytes: u64,
    mode: Mode,
    may_downgrade: bool,
    /// A direct read was refused and the file is buffered from then on.
    downgraded: AtomicBool,
    /// A direct read has succeeded: from then on a refusal is an error.
    proven: AtomicBool,
    totals: Arc<Counters>,
}

impl Reader {
    pub(crate) fn open(path: &Path, policy: Policy, totals: Arc<Counters>) -> Result<Self, Error> {
        let failed = |error: &io::Error| Error::os(Operation::Open, path, error);
        let (file, mode) = match policy {
            Policy::Off => {
                let file = sys::open_read(path, false).map_err(|error| failed(&error))?;
                (file, Mode::Buffered { reason: FallbackReason::PolicyOff })
            }
            Policy::Prefer | Policy::Required => match open_direct(path).map_err(|e| failed(&e))? {
                Ok((file, alignment)) => (file, Mode::Direct(alignment)),
                Err(reason) if policy == Policy::Required => {
                    return Err(Error::NotUncached { path: path.to_owned(), reason });
                }
                Err(reason) => {
                    let file = sys::open_read(path, false).map_err(|error| failed(&error))?;
                    (file, Mode::Buffered { reason })
                }
            },
        };
        let metadata = file.metadata().map_err(|error| Error::os(Operation::Stat, path, &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            len_bytes: metadata.len(),
            mode,
            may_downgrade: policy == Policy::Prefer,
            downgraded: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            totals,
        })
    }

    /// Length of the file when it was opened.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "length of a file, not of a collection")]
    pub fn len(&self) -> u64 {
        self.len_bytes
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it was opened.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// What the file system knows about it: owner, times, inode.
    ///
    /// # Errors
    ///
    /// If the operating system refuses.
    pub fn metadata(&self) -> Result<std::fs::Metadata, Error> {
        self.file.metadata().map_err(|error| Error::os(Operation::Stat, &self.path, &error))
    }

    /// Reads `len_bytes` at `offset_bytes` into `buf`, which grows as needed, and returns them;
    /// fewer if the file ends before, none beyond its end.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn read_at<'buf>(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &'buf mut AlignedBuf,
    ) -> Result<&'buf [u8], Error> {
        if let Mode::Direct(alignment) = self.mode
            && !self.downgraded.load(Ordering::Relaxed)
        {
            match self.read_blocks(offset_bytes, len_bytes, buf, alignment) {
                Ok((skip, got)) => {
                    self.proven.store(true, Ordering::Relaxed);
                    return Ok(trimmed(buf, skip, got));
                }
                Err(error) => self.downgrade_after(&error).map_err(|()| error)?,
            }
        }
        let unaligned = Alignment { mem_align: 1, offset_align: 1, read_offset_align: 1 };
        let (skip, got) = self.read_blocks(offset_bytes, len_bytes, buf, unaligned)?;
        Ok(trimmed(buf, skip, got))
    }

    /// As [`Reader::read_at`], but all of it or an error.
    ///
    /// # Errors
    ///
    /// [`Error::UnexpectedEof`] if the file ends before, or see [`Reader::read_at`].
    pub fn read_exact_at<'buf>(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &'buf mut AlignedBuf,
    ) -> Result<&'buf [u8], Error> {
        let got = self.read_at(offset_bytes, len_bytes, buf)?;
        if got.len() < len_bytes {
            return Err(Error::UnexpectedEof {
                path: self.path.clone(),
                offset_bytes,
                wanted_bytes: len_bytes,
                got_bytes: got.len(),
            });
        }
        Ok(got)
    }

    /// Reads the blocks that the range touches to the start of `buf`; returns where in it the
    /// range starts and how much of it there is.
    fn read_blocks(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
        alignment: Alignment,
    ) -> Result<(usize, usize), Error> {
        let align = alignment.read_offset_align;
        let skip = (offset_bytes % align as u64) as usize;
        let start = offset_bytes - skip as u64;
        // Never more than the file has, rounded up: a huge `len_bytes` costs no memory.
        let there = usize::try_from(self.len_bytes.saturating_sub(start)).unwrap_or(usize::MAX);
        let wanted = skip.saturating_add(len_bytes).min(there);
        if len_bytes == 0 || wanted <= skip {
            return Ok((0, 0));
        }
        let span = wanted.next_multiple_of(align);
        let unit = align.max(alignment.mem_align);
        buf.ensure(span, alignment.mem_align);
        let blocks = &mut buf.as_mut_slice()[..span];
        let mut done = 0;
        while done < wanted {
            let at = start + done as u64;
            let got = match sys::read_at(&self.file, &mut blocks[done..], at) {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(at, &error)),
            };
            self.count(align > 1, got);
            // A read that stops inside a block has met the end of the file; if more is wanted
            // it goes on from the last whole block, and nothing new means that it is the end.
            let next = done + got;
            if next >= wanted || got == 0 || next - next % unit <= done {
                done = next;
                break;
            }
            done = next - next % unit;
        }
        Ok((skip, done.min(wanted).saturating_sub(skip)))
    }

    /// Goes on buffered if this file may and nothing was read directly yet.
    fn downgrade_after(&self, error: &Error) -> Result<(), ()> {
        let refused =
            error.errno().is_some_and(|errno| is_refusal(&io::Error::from_raw_os_error(errno.0)));
        if !refused || !self.may_downgrade || self.proven.load(Ordering::Relaxed) {
            return Err(());
        }
        sys::leave_direct(&self.file).map_err(|_| ())?;
        if !self.downgraded.swap(true, Ordering::Relaxed) {
            add(&self.totals.fallbacks, 1);
        }
        Ok(())
    }

    fn count(&self, direct: bool, bytes: usize) {
        let counter =
            if direct { &self.totals.read_direct_bytes } else { &self.totals.read_buffered_bytes };
        add(counter, bytes as u64);
        add(&self.totals.reads, 1);
    }

    fn failed(&self, offset_bytes: u64, source: &io::Error) -> Error {
        Error::Os {
            operation: Operation::Read,
            path: self.path.clone(),
            offset_bytes,
            completed_bytes: 0,
            errno: Errno::of(source),
        }
    }
}

fn trimmed(buf: &AlignedBuf, skip: usize, len: usize) -> &[u8] {
    buf.as_slice().get(skip..skip + len).unwrap_or_default()
}

/// A direct file and its alignment, or why it can't be had.
fn open_direct(path: &Path) -> io::Result<Result<(File, Alignment), FallbackReason>> {
    if !sys::HAS_DIRECT {
        return Ok(Err(FallbackReason::UnsupportedPlatform));
    }
    let file = match sys::open_read(path, true) {
        Ok(file) => file,
        Err(error) if is_refusal(&error) => {
            return Ok(Err(FallbackReason::OpenRefused(Errno::of(&error))));
        }
        Err(error) => return Err(error),
    };
    Ok(match sys::direct_offer(&file) {
        Offer::Aligned(alignment) => Ok((file, alignment)),
        Offer::Unreported => Ok((file, guessed(DEFAULT_ALIGN))),
        Offer::Refused => Err(FallbackReason::NotOffered),
    })
}
