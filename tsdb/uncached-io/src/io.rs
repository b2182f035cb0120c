//! The way in: what a directory can do, and files created and opened accordingly.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::buffer::{BufferPool, DEFAULT_ALIGN};
use crate::engine::BufferSupply;
use crate::error::{Error, Operation};
use crate::policy::{FallbackReason, Mode, Policy};
use crate::probe;
use crate::reader::Reader;
use crate::stats::{Counters, IoStats};
use crate::sys;
use crate::target::Target;
use crate::writer::Writer;

/// Sizes of the buffers that writers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoOptions {
    /// Size of one buffer, which is also the size of a write. Rounded up to the alignment.
    pub buffer_bytes: usize,
    /// Buffers of one writer, taken as needed. With 1 the caller itself writes, and no thread
    /// is ever started.
    pub buffers_per_writer: usize,
    /// The most that is kept of closed files' buffers for the next ones.
    pub pool_bytes_max: usize,
    /// Direct readers take a range from the page cache if all of it lies there already, see
    /// [`Reader`]. Off with the cargo feature `forcedirectio`.
    pub read_from_page_cache: bool,
}

impl Default for IoOptions {
    fn default() -> Self {
        Self {
            buffer_bytes: 1 << 20,
            buffers_per_writer: 4,
            pool_bytes_max: 8 << 20,
            read_from_page_cache: !cfg!(feature = "forcedirectio"),
        }
    }
}

impl IoOptions {
    /// Sets [`IoOptions::buffer_bytes`].
    #[must_use]
    pub fn buffer_bytes(self, buffer_bytes: usize) -> Self {
        Self { buffer_bytes, ..self }
    }

    /// Sets [`IoOptions::buffers_per_writer`].
    #[must_use]
    pub fn buffers_per_writer(self, buffers_per_writer: usize) -> Self {
        Self { buffers_per_writer, ..self }
    }

    /// Sets [`IoOptions::pool_bytes_max`].
    #[must_use]
    pub fn pool_bytes_max(self, pool_bytes_max: usize) -> Self {
        Self { pool_bytes_max, ..self }
    }

    /// Sets [`IoOptions::read_from_page_cache`].
    #[must_use]
    pub fn read_from_page_cache(self, read_from_page_cache: bool) -> Self {
        Self { read_from_page_cache, ..self }
    }
}

/// How a file is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateOptions {
    /// Permission bits, before the umask.
    pub mode_bits: u32,
    /// Empty an existing file, instead of failing with `AlreadyExists`.
    pub replace: bool,
    /// How long the file will get, if known: blocks are set aside in one piece. What is not
    /// used is given back by [`Writer::finish`].
    pub expected_len_bytes: Option<u64>,
    /// Instead of [`IoOptions::buffer_bytes`].
    pub buffer_bytes: Option<usize>,
    /// Instead of [`IoOptions::buffers_per_writer`].
    pub buffers: Option<usize>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            mode_bits: 0o666,
            replace: false,
            expected_len_bytes: None,
            buffer_bytes: None,
            buffers: None,
        }
    }
}

impl CreateOptions {
    /// Sets [`CreateOptions::mode_bits`].
    #[must_use]
    pub fn mode_bits(self, mode_bits: u32) -> Self {
        Self { mode_bits, ..self }
    }

    /// Sets [`CreateOptions::replace`].
    #[must_use]
    pub fn replace(self, replace: bool) -> Self {
        Self { replace, ..self }
    }

    /// Sets [`CreateOptions::expected_len_bytes`].
    #[must_use]
    pub fn expected_len_bytes(self, len_bytes: u64) -> Self {
        Self { expected_len_bytes: Some(len_bytes), ..self }
    }

    /// Sets [`CreateOptions::buffer_bytes`].
    #[must_use]
    pub fn buffer_bytes(self, buffer_bytes: usize) -> Self {
        Self { buffer_bytes: Some(buffer_bytes), ..self }
    }

    /// Sets [`CreateOptions::buffers`].
    #[must_use]
    pub fn buffers(self, buffers: usize) -> Self {
        Self { buffers: Some(buffers), ..self }
    }
}

/// Creates and opens files by one policy. Clones share buffers, findings and counters.
#[derive(Debug, Clone)]
pub struct Io {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: Policy,
    options: IoOptions,
    mode: Mode,
    /// What was found out, by filesystem.
    found: Mutex<Vec<(u64, Mode)>>,
    pool: Arc<BufferPool>,
    totals: Arc<Counters>,
}

impl Io {
    /// Finds out what `dir` can do, by writing a file there that has no name. With
    /// [`Policy::Off`] nothing is written.
    ///
    /// # Errors
    ///
    /// [`Error::NotUncached`] if the policy is [`Policy::Required`] and it can't be; otherwise
    /// if `dir` is not there, not writable, or its disk fails.
    pub fn probe(dir: &Path, policy: Policy) -> Result<Self, Error> {
        Self::probe_with(dir, policy, IoOptions::default())
    }

    /// [`Io::probe`] with buffers of other sizes.
    ///
    /// # Errors
    ///
    /// See [`Io::probe`].
    pub fn probe_with(dir: &Path, policy: Policy, options: IoOptions) -> Result<Self, Error> {
        let policy = policy.effective();
        let device = device_of(dir)?;
        let mode = find_mode(dir, policy)?;
        Ok(Self::new(policy, options, mode.clone(), vec![(device, mode)]))
    }

    /// For reading only: nothing is probed. A directory in which a file is created all the same
    /// is probed then.
    #[must_use]
    pub fn for_reading(policy: Policy) -> Self {
        Self::for_reading_with(policy, IoOptions::default())
    }

    /// [`Io::for_reading`] with other options.
    #[must_use]
    pub fn for_reading_with(policy: Policy, options: IoOptions) -> Self {
        let reason = FallbackReason::PolicyOff;
        Self::new(policy.effective(), options, Mode::Buffered { reason }, Vec::new())
    }

    fn new(policy: Policy, options: IoOptions, mode: Mode, found: Vec<(u64, Mode)>) -> Self {
        let shared = Shared {
            policy,
            options,
            mode,
            found: Mutex::new(found),
            pool: Arc::new(BufferPool::new(options.pool_bytes_max)),
            totals: Arc::new(Counters::default()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How files of the probed directory are written.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.shared.mode
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.shared.policy
    }

    /// Sums over all files so far.
    #[must_use]
    pub fn stats(&self) -> IoStats {
        self.shared.totals.snapshot()
    }

    /// Creates the file at `path`. A directory on another filesystem than the probed one is
    /// probed in its turn.
    ///
    /// # Errors
    ///
    /// If the file can't be created, or not as the policy requires.
    pub fn create(&self, path: &Path, options: CreateOptions) -> Result<Writer, Error> {
        let failed = |error: &io::Error| Error::os(Operation::Open, path, error);
        let mode = self.mode_for(parent_of(path))?;
        let open = |direct| sys::open_write(path, direct, options.replace, options.mode_bits);
        let totals = Arc::clone(&self.shared.totals);
        let may_downgrade = self.shared.policy == Policy::Prefer;
        let file = open(mode.is_direct()).map_err(|error| failed(&error))?;
        let (mem_align, offset_align, mut target) = match mode {
            Mode::Direct(alignment) => {
                let path = path.to_owned();
                let target = Target::direct(Box::new(file), path, alignment, may_downgrade, totals);
                (alignment.mem_align, alignment.offset_align, target)
            }
            Mode::Buffered { reason } => {
                (1, 1, Target::buffered(Box::new(file), path.to_owned(), reason, totals))
            }
        };
        if let Some(len_bytes) = options.expected_len_bytes {
            target.preallocate(len_bytes);
        }
        let supply = self.supply(&options, mem_align, offset_align);
        Ok(Writer::new(path.to_owned(), target, supply, offset_align))
    }

    /// Opens the file at `path` for reading.
    ///
    /// # Errors
    ///
    /// If the file can't be opened, or not as the policy requires.
    pub fn open(&self, path: &Path) -> Result<Reader, Error> {
        let shared = &self.shared;
        let from_cache = shared.options.read_from_page_cache;
        let (pool, totals) = (Arc::clone(&shared.pool), Arc::clone(&shared.totals));
        Reader::open(path, shared.policy, from_cache, pool, totals)
    }

    fn supply(&self, options: &CreateOptions, mem_align: usize, align: usize) -> BufferSupply {
        let wanted = options.buffer_bytes.unwrap_or(self.shared.options.buffer_bytes);
        let count = options.buffers.unwrap_or(self.shared.options.buffers_per_writer);
        BufferSupply {
            pool: Arc::clone(&self.shared.pool),
            // Two blocks at least, so that a reservation fits behind a carried-over end.
            buffer_bytes: wanted.max(2 * align).next_multiple_of(align),
            // Buffers of all modes come from one pool, so all are aligned to a page at least.
            mem_align: mem_align.max(DEFAULT_ALIGN),
            count_max: count.max(1),
        }
    }

    fn mode_for(&self, dir: &Path) -> Result<Mode, Error> {
        if self.shared.policy == Policy::Off {
            return Ok(Mode::Buffered { reason: FallbackReason::PolicyOff });
        }
        let device = device_of(dir)?;
        // Held while probing: others that create there need the same answer.
        let mut found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, mode)) = found.iter().find(|(of, _)| *of == device) {
            return Ok(mode.clone());
        }
        let mode = find_mode(dir, self.shared.policy)?;
        found.push((device, mode.clone()));
        Ok(mode)
    }
}

fn find_mode(dir: &Path, policy: Policy) -> Result<Mode, Error> {
    if policy == Policy::Off {
        return Ok(Mode::Buffered { reason: FallbackReason::PolicyOff });
    }
    match probe::probe(dir)? {
        Ok(alignment) => Ok(Mode::Direct(alignment)),
        Err(reason) if policy == Policy::Required => {
            Err(Error::NotUncached { path: dir.to_owned(), reason })
        }
        Err(reason) => Ok(Mode::Buffered { reason }),
    }
}

fn device_of(dir: &Path) -> Result<u64, Error> {
    sys::device_of(dir).map_err(|error| Error::os(Operation::Probe, dir, &error))
}

/// The directory that a file's name stands in.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
