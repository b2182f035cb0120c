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
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::blocks::{Progress, Touched, after_read};
use crate::buffer::{AlignedBuf, BufferPool, DEFAULT_ALIGN};
use crate::cached_range::CachedRange;
use crate::error::{Errno, Error, Operation};
use crate::measured::Measured;
use crate::pace::Pace;
use crate::policy::{Alignment, FallbackReason, Mode, Policy};
use crate::probe::{guessed, is_refusal};
use crate::read_cache::FileId;
use crate::scan::{Scan, ScanOptions};
use crate::stats::{Counters, add};
use crate::sys::{self, Offer};

/// A file opened for reading, past the page cache where that is its mode. Shared between
/// threads freely: each brings its own [`AlignedBuf`]. Clones are the same open file.
///
/// Reading never evicts anything: pages that others have cached of this file stay cached. Nor
/// does it leave anything in the cache. But what lies there already need not come from the disk:
/// a range that is cached as a whole is copied from there, at some 2 us for 4 KiB instead of 40.
/// To ask costs 0.7 us, 2 % of the smallest read and less of any other, so it is done for every
/// length ([`IoOptions::read_from_page_cache`](crate::IoOptions::read_from_page_cache) switches it
/// off). A range of which a part is cached is read directly, all of it.
///
/// Dirty pages are no trap: a direct read of a range that somebody else has dirty pages in makes
/// the kernel write these back first, and leaves them cached; what is read is what they hold.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    path: PathBuf,
    len_bytes: u64,
    id: FileId,
    mode: Mode,
    may_downgrade: bool,
    /// A direct read was refused or found to be cached, for this reason: the file is buffered from
    /// then on if it may be, else no longer read.
    downgraded: OnceLock<FallbackReason>,
    /// A direct read has succeeded: from then on a refusal is an error.
    proven: AtomicBool,
    /// `None` if the filesystem's word is good enough.
    measured: Option<Measured>,
    /// `None` if the page cache is not to be asked.
    cached: Option<CachedRange>,
    pool: Arc<BufferPool>,
    totals: Arc<Counters>,
    pace: Pace,
}

impl Reader {
    pub(crate) fn open(
        path: &Path,
        policy: Policy,
        from_page_cache: bool,
        pool: Arc<BufferPool>,
        totals: Arc<Counters>,
        pace: Pace,
    ) -> Result<Self, Error> {
        let Opened { file, mode, reported } = open_by(path, policy)?;
        let metadata = file.metadata().map_err(|error| Error::os(Operation::Stat, path, &error))?;
        let asked_for = [FallbackReason::PolicyOff, FallbackReason::InMemory];
        if mode.fallback_reason().is_some_and(|reason| !asked_for.contains(reason)) {
            add(&totals.fallbacks, 1);
        }
        let shared = Shared {
            file,
            path: path.to_owned(),
            len_bytes: metadata.len(),
            id: FileId::of(&metadata),
            measured: (mode.is_direct() && !reported).then(Measured::default),
            cached: (from_page_cache && mode.is_direct()).then(CachedRange::default),
            mode,
            may_downgrade: policy == Policy::Prefer,
            downgraded: OnceLock::new(),
            proven: AtomicBool::new(false),
            pool,
            totals,
            pace,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Length of the file in bytes when it was opened. What was appended since is not seen.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "length of a file, not of a collection")]
    pub fn len(&self) -> u64 {
        self.shared.len_bytes
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// How it was opened. What became of it later, [`Reader::fallback_reason`] says.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.shared.mode
    }

    /// Why this file is read through the page cache, if it is: because it was opened so, because
    /// its first direct read was refused, or because direct reads were found to be cached.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<FallbackReason> {
        let refused = self.shared.downgraded.get().copied();
        refused.or_else(|| self.shared.mode.fallback_reason().copied())
    }

    /// What the file system knows about it: owner, times, inode.
    ///
    /// # Errors
    ///
    /// If the operating system refuses.
    pub fn metadata(&self) -> Result<std::fs::Metadata, Error> {
        let failed = |error| Error::os(Operation::Stat, &self.shared.path, &error);
        self.shared.file.metadata().map_err(failed)
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
        let data = self.read_into(offset_bytes, len_bytes, buf)?;
        Ok(buf.as_slice().get(data).unwrap_or_default())
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
                path: self.shared.path.clone(),
                offset_bytes,
                wanted_bytes: len_bytes,
                got_bytes: got.len(),
            });
        }
        Ok(got)
    }

    /// Scans `range` from its start to its end, or to that of the file if it comes first:
    /// [`Scan`] reads ahead of whoever consumes it.
    #[must_use]
    pub fn scan(&self, range: Range<u64>, options: ScanOptions) -> Scan {
        Scan::new(self.clone(), range, options, Arc::clone(&self.shared.pool))
    }

    /// Which file this is, for a cache of its blocks.
    pub(crate) fn id(&self) -> FileId {
        self.shared.id
    }

    /// [`Reader::read_at`], but says where in `buf` the bytes lie.
    pub(crate) fn read_into(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
    ) -> Result<Range<usize>, Error> {
        self.shared.read_into(offset_bytes, len_bytes, buf)
    }

    /// A buffer of the pool that the file's `Io` keeps; go through [`Reader::give_buffer`] after.
    pub(crate) fn take_buffer(&self, capacity_bytes: usize) -> AlignedBuf {
        self.shared.pool.take(capacity_bytes, self.mem_align())
    }

    pub(crate) fn give_buffer(&self, buf: AlignedBuf) {
        self.shared.pool.give(buf);
    }

    /// What buffers for this file should be aligned to: a page at least, as all of the pool.
    pub(crate) fn mem_align(&self) -> usize {
        match self.shared.mode {
            Mode::Direct(alignment) => alignment.mem_align.max(DEFAULT_ALIGN),
            Mode::Buffered { .. } | Mode::DontCache { .. } => DEFAULT_ALIGN,
        }
    }

    /// What offsets and lengths of reads are rounded to.
    pub(crate) fn block_bytes(&self) -> usize {
        match self.shared.mode {
            Mode::Direct(alignment) => alignment.read_offset_align.max(DEFAULT_ALIGN),
            Mode::Buffered { .. } | Mode::DontCache { .. } => DEFAULT_ALIGN,
        }
    }
}

impl Shared {
    fn read_into(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
    ) -> Result<Range<usize>, Error> {
        if let Mode::Direct(alignment) = self.mode
            && self.downgraded.get().is_none()
        {
            if let Some(data) = self.read_cached(offset_bytes, len_bytes, buf, alignment) {
                return Ok(data);
            }
            match self.read_measured(offset_bytes, len_bytes, buf, alignment)? {
                Ok(data) => {
                    self.proven.store(true, Ordering::Relaxed);
                    return Ok(data);
                }
                Err(error) => self.downgrade_after(&error).map_err(|()| error)?,
            }
        }
        self.check_policy()?;
        self.read_blocks(offset_bytes, len_bytes, buf, UNALIGNED)
    }

    /// A direct read, and what it shows about the page cache where that is not known yet. Inside,
    /// what the read itself met.
    fn read_measured(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
        alignment: Alignment,
    ) -> Result<Result<Range<usize>, Error>, Error> {
        let end = offset_bytes.saturating_add(len_bytes as u64).min(self.len_bytes);
        let Some(measured) = self.measured.as_ref().filter(|_| offset_bytes < end) else {
            return Ok(self.read_blocks(offset_bytes, len_bytes, buf, alignment));
        };
        let before = match measured.before(&self.file, offset_bytes..end) {
            Ok(before) => before,
            Err(reason) => {
                self.leave_direct(reason)?;
                return self.read_blocks(offset_bytes, len_bytes, buf, UNALIGNED).map(Ok);
            }
        };
        let read = self.read_blocks(offset_bytes, len_bytes, buf, alignment);
        if let (Ok(_), Some(before)) = (&read, before)
            && let Err(reason) = measured.after(&self.file, &before)
        {
            self.leave_direct(reason)?;
        }
        Ok(read)
    }

    /// Goes on buffered, or not at all: by policy.
    fn leave_direct(&self, reason: FallbackReason) -> Result<(), Error> {
        if self.may_downgrade {
            // Before others learn of it: they then read unaligned.
            let left = sys::leave_direct(&self.file);
            left.map_err(|error| Error::os(Operation::Downgrade, &self.path, &error))?;
        }
        if self.downgraded.set(reason).is_ok() && self.may_downgrade {
            add(&self.totals.fallbacks, 1);
        }
        self.check_policy()
    }

    /// An error for a file that is required to be uncached, and was found not to be.
    fn check_policy(&self) -> Result<(), Error> {
        match self.downgraded.get() {
            Some(&reason) if !self.may_downgrade => {
                Err(Error::NotUncached { path: self.path.clone(), reason })
            }
            _ => Ok(()),
        }
    }

    /// Reads from the page cache what lies there as a whole.
    fn read_cached(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
        alignment: Alignment,
    ) -> Option<Range<usize>> {
        let cached = self.cached.as_ref()?;
        let there = usize::try_from(self.len_bytes.saturating_sub(offset_bytes));
        let len = there.unwrap_or(usize::MAX).min(len_bytes);
        if len == 0 || !cached.covers(&self.file, offset_bytes, len) {
            return None;
        }
        // Aligned although it need not be, so that the next direct read finds it fit.
        buf.ensure(len, alignment.mem_align);
        let into = &mut buf.as_mut_slice()[..len];
        if !cached.read(&self.file, &self.path, offset_bytes, into) {
            return None;
        }
        add(&self.totals.read_from_cache_bytes, len as u64);
        add(&self.totals.reads, 1);
        Some(0..len)
    }

    /// Reads the blocks that the range touches to the start of `buf`; returns where in it what
    /// there is of the range lies.
    fn read_blocks(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
        alignment: Alignment,
    ) -> Result<Range<usize>, Error> {
        let align = alignment.read_offset_align;
        let touched = Touched::by(offset_bytes, len_bytes, self.len_bytes, align);
        let Some(Touched { start, skip, wanted, span }) = touched else { return Ok(0..0) };
        let unit = align.max(alignment.mem_align);
        buf.ensure(span, alignment.mem_align);
        let blocks = &mut buf.as_mut_slice()[..span];
        self.totals.wait_for(&self.pace, span);
        let mut done = 0;
        loop {
            let at = start + done as u64;
            let got = match sys::read_at(&self.file, &mut blocks[done..], at) {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(at, &error)),
            };
            self.count(align > 1, got);
            match after_read(done, got, wanted, unit) {
                Progress::Resume(from) => done = from,
                Progress::End(end) => return Ok(skip..end.max(skip)),
            }
        }
    }

    /// Goes on buffered if this file may and nothing was read directly yet.
    fn downgrade_after(&self, error: &Error) -> Result<(), ()> {
        let is_refusal = |errno: &Errno| is_refusal(&io::Error::from_raw_os_error(errno.0));
        let errno = error.errno().filter(is_refusal).ok_or(())?;
        if !self.may_downgrade || self.proven.load(Ordering::Relaxed) {
            return Err(());
        }
        sys::leave_direct(&self.file).map_err(|_| ())?;
        if self.downgraded.set(FallbackReason::ReadRefused(errno)).is_ok() {
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

/// That of reads through the page cache.
const UNALIGNED: Alignment = Alignment { mem_align: 1, offset_align: 1, read_offset_align: 1 };

/// A file, and how it is read.
struct Opened {
    file: File,
    mode: Mode,
    /// Whether the alignment is the filesystem's word, rather than a guess.
    reported: bool,
}

/// The file as the policy wants it, or as near to it as it allows.
fn open_by(path: &Path, policy: Policy) -> Result<Opened, Error> {
    let failed = |error: io::Error| Error::opening(path, &error);
    let reason = match policy {
        Policy::Off => FallbackReason::PolicyOff,
        Policy::Prefer | Policy::Required => match open_direct(path).map_err(failed)? {
            Ok(opened) => return Ok(opened),
            Err(reason) if policy == Policy::Required && reason != FallbackReason::InMemory => {
                return Err(Error::NotUncached { path: path.to_owned(), reason });
            }
            Err(reason) => reason,
        },
    };
    let file = sys::open_read(path, false).map_err(failed)?;
    Ok(Opened { file, mode: Mode::Buffered { reason }, reported: false })
}

/// A direct file, or why it can't be had.
fn open_direct(path: &Path) -> io::Result<Result<Opened, FallbackReason>> {
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
    let (alignment, reported) = match sys::direct_offer(&file) {
        Offer::Aligned(alignment) => (alignment, true),
        // Every page of it is cached, and no reading of it would show that.
        Offer::Unreported if sys::is_in_memory(&file)? => {
            return Ok(Err(FallbackReason::InMemory));
        }
        Offer::Unreported => (guessed(DEFAULT_ALIGN), false),
        Offer::Refused => return Ok(Err(FallbackReason::NotOffered)),
    };
    Ok(Ok(Opened { file, mode: Mode::Direct(alignment), reported }))
}
