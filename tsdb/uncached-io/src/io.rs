//! The way in: what a directory can do, and files created and opened accordingly.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::buffer::{BufferPool, DEFAULT_ALIGN};
use crate::choice::{Choice, choose, fall_back};
use crate::condemned::Condemned;
use crate::engine::{BufferSupply, EngineKind, EngineReport};
use crate::error::{Errno, Error, Operation};
use crate::latency::LatencyHistogram;
use crate::options::{BUFFER_BYTES_MAX, BUFFERS_MAX, CreateOptions, IoOptions};
use crate::pace::Pace;
use crate::policy::{FallbackReason, Mode, Policy};
use crate::probe::is_refusal;
use crate::reader::Reader;
use crate::stats::{Counters, IoStats};
use crate::sys;
use crate::target::{Target, TargetOptions};
use crate::writer::{Opened, Resumed, Writer};

/// Creates and opens files by one policy. Clones share buffers, findings and counters.
#[derive(Debug, Clone)]
pub struct Io {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: Policy,
    options: IoOptions,
    probed: Choice,
    /// What was found out, by filesystem and by the engine that was asked for.
    found: Mutex<Vec<Found>>,
    pool: Arc<BufferPool>,
    totals: Arc<Counters>,
    pace: Pace,
    condemned: Arc<Condemned>,
}

#[derive(Debug)]
struct Found {
    device: u64,
    asked: Option<EngineKind>,
    choice: Choice,
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

    /// [`Io::probe`] with buffers of other sizes, or another engine.
    ///
    /// # Errors
    ///
    /// See [`Io::probe`].
    pub fn probe_with(dir: &Path, policy: Policy, options: IoOptions) -> Result<Self, Error> {
        let policy = policy.effective();
        let device = device_of(dir)?;
        let choice = choose(dir, policy, options.engine)?;
        let found = Found { device, asked: options.engine, choice: choice.clone() };
        Ok(Self::new(policy, options, choice, vec![found]))
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
        let choice = Choice::buffered(FallbackReason::PolicyOff);
        Self::new(policy.effective(), options, choice, Vec::new())
    }

    fn new(policy: Policy, options: IoOptions, probed: Choice, found: Vec<Found>) -> Self {
        let shared = Shared {
            policy,
            options,
            probed,
            found: Mutex::new(found),
            pool: Arc::new(BufferPool::new(options.pool_bytes_max)),
            totals: Arc::new(Counters::default()),
            pace: Pace::new(options.bytes_per_second_max),
            condemned: Condemned::of_process(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How files of the probed directory are written.
    #[must_use]
    pub fn mode(&self) -> &Mode {
        &self.shared.probed.mode
    }

    /// Who writes files of the probed directory.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        self.shared.probed.engine
    }

    /// The engines that were tried for the probed directory before the one in use, in order,
    /// and why they were not taken.
    #[must_use]
    pub fn tried(&self) -> &[EngineReport] {
        &self.shared.probed.refused
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

    /// How long writes took, over all files that are no longer being written.
    #[must_use]
    pub fn write_latency(&self) -> LatencyHistogram {
        let total = self.shared.totals.write_latency.lock();
        total.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Creates the file at `path`. A directory on another filesystem than the probed one is
    /// probed in its turn.
    ///
    /// # Errors
    ///
    /// If the file can't be created, or not as the policy requires.
    pub fn create(&self, path: &Path, options: CreateOptions) -> Result<Writer, Error> {
        let opened = self.open_new(path, &options)?;
        Writer::new(Some(self.clone()), opened)
    }

    /// Goes on writing the file at `path` behind its first `len_bytes`: those are known to be
    /// whole, by a [`Writer::sync_partial`] or a [`Writer::finish`] before. What is behind them is
    /// cut off, durably. Of the options, `replace` and `mode_bits` say nothing here.
    ///
    /// An unaligned end is read back, and written again with what follows it, so that a direct
    /// file stays one.
    ///
    /// A file of which a sync has failed, here or in a writer, is refused from then on: the kernel
    /// reports a lost page once, and would call the next sync a success. Make it anew, by
    /// [`Io::create`] with `replace` or after removing it, from data that is known to be good. This
    /// process remembers that. Another one cannot know: whoever is told of a failed sync must see to
    /// it that nothing resumes the file later.
    ///
    /// # Errors
    ///
    /// [`Error::Condemned`] if a sync of the file has failed before; [`Error::TooShort`] if it has
    /// fewer bytes, and is left as it is; else if it can't be opened, read or cut, or not written
    /// as the policy requires.
    pub fn resume(
        &self,
        path: &Path,
        len_bytes: u64,
        options: CreateOptions,
    ) -> Result<Writer, Error> {
        let (file, choice) =
            self.open_by_choice(path, &options, |direct, _| sys::open_resume(path, direct))?;
        if self.shared.condemned.has(sys::RawFile::key(&file)) {
            return Err(Error::Condemned { path: path.to_owned() });
        }
        let there = sys::len_of(&file).map_err(|error| Error::os(Operation::Stat, path, &error))?;
        if there < len_bytes {
            let path = path.to_owned();
            return Err(Error::TooShort { path, len_bytes: there, wanted_bytes: len_bytes });
        }
        let supply = self.supply(&options, &choice.mode);
        let tail = read_tail(&file, path, len_bytes, &choice.mode, &supply)?;
        if there > len_bytes {
            cut(&file, path, len_bytes, &self.shared.condemned)?;
        }
        let resumed = Some(Resumed { len_bytes, tail });
        let opened = self.opened(file, path, &options, choice, supply, resumed);
        Writer::new(Some(self.clone()), opened)
    }

    /// Opens the file at `path` for reading.
    ///
    /// Where the filesystem reports no alignment, it is measured by the first reads whether they
    /// are uncached; so [`Policy::Required`] may be an error of a read there.
    ///
    /// # Errors
    ///
    /// If the file can't be opened, or not as the policy requires.
    pub fn open(&self, path: &Path) -> Result<Reader, Error> {
        let shared = &self.shared;
        let from_cache = shared.options.read_from_page_cache;
        let (pool, totals) = (Arc::clone(&shared.pool), Arc::clone(&shared.totals));
        Reader::open(path, shared.policy, from_cache, pool, totals, shared.pace.clone())
    }

    /// Waits until the limit lets `bytes` go.
    pub(crate) fn wait_for(&self, bytes: usize) {
        self.shared.totals.wait_for(&self.shared.pace, bytes);
    }

    pub(crate) fn open_new(&self, path: &Path, options: &CreateOptions) -> Result<Opened, Error> {
        let (file, choice) = self.open_by_choice(path, options, |direct, left_over| {
            match sys::open_write(path, direct, options.replace, options.mode_bits) {
                // A direct open may be refused when the file is made already; an empty file
                // holds nothing that could be lost.
                Err(error) if left_over && error.kind() == io::ErrorKind::AlreadyExists => {
                    let file = sys::open_resume(path, false)?;
                    if sys::len_of(&file)? == 0 { Ok(file) } else { Err(error) }
                }
                other => other,
            }
        })?;
        // Empty, so nothing of what was lost is in it; or new, with the number of a removed one.
        self.shared.condemned.forgive(sys::RawFile::key(&file));
        let supply = self.supply(options, &choice.mode);
        Ok(self.opened(file, path, options, choice, supply, None))
    }

    /// Opens by what the directory gives; where this file is refused what others there are not,
    /// it goes through the page cache if it may. `open` learns whether it is to be direct, and
    /// whether it is the second attempt.
    fn open_by_choice(
        &self,
        path: &Path,
        options: &CreateOptions,
        open: impl Fn(bool, bool) -> io::Result<File>,
    ) -> Result<(File, Choice), Error> {
        let failed = |error: &io::Error| Error::opening(path, error);
        let dir = dir_of(path);
        let choice = self.choice_for(&dir, options.engine)?;
        let direct = choice.mode.is_direct();
        match open(direct, false) {
            Ok(file) => Ok((file, choice)),
            Err(error) if direct && self.shared.policy == Policy::Prefer && is_refusal(&error) => {
                let reason = FallbackReason::OpenRefused(Errno::of(&error));
                let choice = fall_back(&dir, reason)?;
                let file = open(false, true).map_err(|error| failed(&error))?;
                Ok((file, choice))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    fn opened(
        &self,
        file: File,
        path: &Path,
        options: &CreateOptions,
        choice: Choice,
        supply: BufferSupply,
        resumed: Option<Resumed>,
    ) -> Opened {
        let asked = options.engine.or(self.shared.options.engine);
        let engine = match choice.engine {
            engine if asked.is_none() && engine.is_direct() && supply.count_max < 2 => {
                EngineKind::Blocking
            }
            engine => engine,
        };
        let (mem_align, offset_align) = alignment_of(&choice.mode);
        let mut target = Target::new(
            Box::new(file),
            TargetOptions {
                path: path.to_owned(),
                mode: choice.mode,
                may_downgrade: self.shared.policy == Policy::Prefer,
                durability: options.durability,
                len_bytes: resumed.as_ref().map_or(0, |resumed| resumed.len_bytes),
                totals: Arc::clone(&self.shared.totals),
                condemned: Arc::clone(&self.shared.condemned),
            },
        );
        if let Some(len_bytes) = options.expected_len_bytes {
            target.preallocate(len_bytes);
        }
        let (path, at_once) = (path.to_owned(), asked == Some(engine));
        Opened { path, target, supply, mem_align, offset_align, engine, at_once, resumed }
    }

    fn supply(&self, options: &CreateOptions, mode: &Mode) -> BufferSupply {
        let wanted = options.buffer_bytes.unwrap_or(self.shared.options.buffer_bytes);
        let count = options.buffers.unwrap_or(self.shared.options.buffers_per_writer);
        let (mem_align, offset_align) = alignment_of(mode);
        BufferSupply {
            pool: Arc::clone(&self.shared.pool),
            // Two blocks at least, so that a reservation fits behind a carried-over end.
            buffer_bytes: wanted
                .min(BUFFER_BYTES_MAX)
                .max(2 * offset_align)
                .next_multiple_of(offset_align),
            // Buffers of all modes come from one pool, so all are aligned to a page at least.
            mem_align: mem_align.max(DEFAULT_ALIGN),
            count_max: count.clamp(1, BUFFERS_MAX),
        }
    }

    fn choice_for(&self, dir: &Path, engine: Option<EngineKind>) -> Result<Choice, Error> {
        let asked = engine.or(self.shared.options.engine);
        let device = device_of(dir)?;
        // Held while probing: others that create there need the same answer.
        let mut found = self.shared.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.iter().find(|it| it.device == device && it.asked == asked) {
            return Ok(known.choice.clone());
        }
        let choice = choose(dir, self.shared.policy, asked)?;
        found.push(Found { device, asked, choice: choice.clone() });
        Ok(choice)
    }
}

/// Of memory, and of offsets.
fn alignment_of(mode: &Mode) -> (usize, usize) {
    match mode {
        Mode::Direct(alignment) => (alignment.mem_align, alignment.offset_align),
        Mode::DontCache { .. } | Mode::Buffered { .. } => (1, 1),
    }
}

/// The bytes behind the last whole block.
fn read_tail(
    file: &File,
    path: &Path,
    len_bytes: u64,
    mode: &Mode,
    supply: &BufferSupply,
) -> Result<Vec<u8>, Error> {
    let Mode::Direct(alignment) = mode else { return Ok(Vec::new()) };
    let align = alignment.offset_align;
    let tail_bytes = (len_bytes % align as u64) as usize;
    if tail_bytes == 0 {
        return Ok(Vec::new());
    }
    // Reads may want larger multiples than writes do.
    let unit = align.max(alignment.read_offset_align);
    let start = len_bytes - len_bytes % unit as u64;
    let wanted = (len_bytes - start) as usize;
    let mut buf = crate::AlignedBuf::new();
    buf.ensure(unit, supply.mem_align);
    let mut got = 0;
    while got < wanted {
        match sys::read_at(file, buf.as_mut_slice(), start) {
            Ok(more) if more > got => got = more,
            Ok(_) => {
                let (path, offset_bytes) = (path.to_owned(), start);
                let (wanted_bytes, got_bytes) = (wanted, got);
                return Err(Error::UnexpectedEof { path, offset_bytes, wanted_bytes, got_bytes });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::resuming(Operation::Read, path, start, len_bytes, &error));
            }
        }
    }
    Ok(buf.as_slice()[wanted - tail_bytes..wanted].to_vec())
}

/// Cuts off what is behind `len_bytes`. An unaligned cut dirties a page of the cache, so it is
/// synced and dropped before anything is written directly.
fn cut(file: &File, path: &Path, len_bytes: u64, condemned: &Condemned) -> Result<(), Error> {
    let failed = |operation, error: &io::Error| {
        Error::resuming(operation, path, len_bytes, len_bytes, error)
    };
    file.set_len(len_bytes).map_err(|error| failed(Operation::Truncate, &error))?;
    file.sync_all().map_err(|error| {
        condemned.add(sys::RawFile::key(file));
        failed(Operation::Sync, &error)
    })?;
    // Only whole pages are dropped; those before the one that was cut are somebody else's.
    sys::RawFile::drop_cached(file, len_bytes - len_bytes % sys::page_bytes(), 0);
    Ok(())
}

fn device_of(dir: &Path) -> Result<u64, Error> {
    sys::device_of(dir).map_err(|error| Error::os(Operation::Probe, dir, &error))
}

/// The directory that the file stands in, or would: of a link, that of what it names.
fn dir_of(path: &Path) -> PathBuf {
    // As many links as Linux follows.
    const LINKS_MAX: usize = 40;
    // What is no file is refused for that, wherever it is.
    if std::fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return parent_of(path).to_owned();
    }
    let mut path = Cow::Borrowed(path);
    for _ in 0..LINKS_MAX {
        let Ok(named) = std::fs::read_link(&path) else { break };
        path = Cow::Owned(parent_of(&path).join(named));
    }
    parent_of(&path).to_owned()
}

/// The directory that a file's name stands in.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
