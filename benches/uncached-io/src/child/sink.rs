//! What is written with: the crate's writer, `BufWriter`, bare calls.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use uncached_io::{
    AlignedBuf, CreateOptions, Durability, EngineKind, Io, IoOptions, Mode, Policy, WriteStats,
    Writer,
};

/// Which one, and how it is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum SinkSpec {
    /// The crate's writer.
    Ours {
        engine: String,
        each_write: bool,
        /// The caller fills aligned buffers of the writer's instead of giving its own bytes.
        owned: bool,
        /// Size and number of the writer's buffers, instead of the crate's defaults.
        sizes: Option<(usize, usize)>,
    },
    /// The standard library's, with a buffer of 1 MiB, as Rust programs are written.
    BufWriter,
    /// A `write` to the kernel for each call.
    Bare {
        /// With `O_DIRECT`; calls must be aligned then, and a shorter last one is dropped.
        direct: bool,
    },
}

/// How a file ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) len_bytes: u64,
    pub(super) padding_bytes: Option<u64>,
    pub(super) copied_bytes: Option<u64>,
}

/// A file being written.
pub(super) trait Sink {
    /// Appends.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes durable what was written so far.
    fn sync(&mut self) -> Result<()>;
    /// Makes all of it durable.
    fn finish(self: Box<Self>) -> Result<Ended>;
}

impl SinkSpec {
    /// The crate's writer with an engine, otherwise as it is by default.
    pub(crate) fn engine(kind: EngineKind) -> Self {
        let engine = kind.name().to_owned();
        Self::Ours { engine, each_write: false, owned: false, sizes: None }
    }

    /// What can be done before the clock starts: a program probes once, not for each file.
    pub(super) fn prepare(&self, dir: &Path) -> Result<Option<Io>> {
        let Self::Ours { engine, .. } = self else { return Ok(None) };
        let kind: EngineKind = engine.parse()?;
        let policy = match kind {
            EngineKind::Buffered => Policy::Off,
            _ if kind.is_direct() => Policy::Required,
            _ => Policy::Prefer,
        };
        let io = Io::probe_with(dir, policy, IoOptions::default().engine(kind))?;
        ensure!(
            io.engine() == kind,
            "{} was used instead of {kind}: {:?}",
            io.engine(),
            io.tried()
        );
        Ok(Some(io))
    }

    /// Creates the file.
    pub(super) fn create(&self, io: Option<&Io>, path: &Path) -> Result<Box<dyn Sink>> {
        Ok(match self {
            Self::Ours { each_write, owned, sizes, .. } => {
                let io = io.context("not prepared")?;
                let mut options = CreateOptions::default();
                if *each_write {
                    options = options.durability(Durability::EachWrite);
                }
                if let Some((buffer_bytes, buffers)) = *sizes {
                    options = options.buffer_bytes(buffer_bytes).buffers(buffers);
                }
                let writer = io.create(path, options)?;
                if *owned { Box::new(Owned { writer, buf: None }) } else { Box::new(writer) }
            }
            Self::BufWriter => Box::new(BufWriter::with_capacity(1 << 20, create(path, false)?)),
            Self::Bare { direct } => Box::new(Bare::new(create(path, *direct)?, *direct, path)?),
        })
    }
}

fn create(path: &Path, direct: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if direct {
        options.custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed());
    }
    options.open(path).with_context(|| format!("creating {}", path.display()))
}

fn ended(len_bytes: u64, stats: &WriteStats) -> Ended {
    let copied_bytes = Some(stats.copied_bytes);
    Ended { len_bytes, padding_bytes: Some(stats.padding_bytes), copied_bytes }
}

impl Sink for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.write_all(bytes)?)
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.sync_partial()?)
    }

    fn finish(self: Box<Self>) -> Result<Ended> {
        let finished = Writer::finish(*self)?;
        Ok(ended(finished.len_bytes, &finished.stats))
    }
}

/// The caller's bytes come about in the writer's own buffers: what it does with `bytes` here is
/// its producing, not a copy of the crate's.
struct Owned {
    writer: Writer,
    /// Being filled, and how far.
    buf: Option<(AlignedBuf, usize)>,
}

impl Owned {
    fn hand_over(&mut self) -> Result<()> {
        if let Some((buf, filled)) = self.buf.take() {
            self.writer.write_owned(buf, filled)?;
        }
        Ok(())
    }
}

impl Sink for Owned {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (mut buf, filled) = match self.buf.take() {
                Some(buf) => buf,
                None => (self.writer.take_buffer()?, 0),
            };
            let room = buf.as_mut_slice().get_mut(filled..).context("a short buffer")?;
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room.get_mut(..now.len()).context("a short buffer")?.copy_from_slice(now);
            let (filled, full) = (filled + now.len(), now.len() == room.len());
            self.buf = Some((buf, filled));
            if full {
                self.hand_over()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.hand_over()?;
        Ok(self.writer.sync_partial()?)
    }

    fn finish(mut self: Box<Self>) -> Result<Ended> {
        self.hand_over()?;
        Box::new(self.writer).finish()
    }
}

impl Sink for BufWriter<File> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.write_all(bytes)?)
    }

    fn sync(&mut self) -> Result<()> {
        self.flush()?;
        Ok(self.get_ref().sync_data()?)
    }

    fn finish(mut self: Box<Self>) -> Result<Ended> {
        self.flush()?;
        self.get_ref().sync_all()?;
        let len_bytes = self.get_ref().metadata()?.len();
        Ok(Ended { len_bytes, ..Ended::default() })
    }
}

/// Calls of the kernel, one after the other.
struct Bare {
    file: File,
    /// Aligned copies of the caller's bytes; `None` if those do.
    buf: Option<AlignedBuf>,
    at: u64,
    align: usize,
}

impl Bare {
    fn new(file: File, direct: bool, path: &Path) -> Result<Self> {
        let dir = path.parent().context("a path with a directory")?;
        let mut align = 1;
        if direct && let Mode::Direct(found) = Io::probe(dir, Policy::Required)?.mode() {
            align = found.offset_align.max(found.mem_align);
        }
        Ok(Self { file, buf: direct.then(AlignedBuf::new), at: 0, align })
    }
}

impl Sink for Bare {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let whole = bytes.len() - bytes.len() % self.align;
        let bytes = bytes.get(..whole).unwrap_or(bytes);
        let bytes = match &mut self.buf {
            Some(buf) => {
                buf.ensure(whole, self.align);
                let room = buf.as_mut_slice().get_mut(..whole).context("a short buffer")?;
                room.copy_from_slice(bytes);
                &*room
            }
            None => bytes,
        };
        self.file.write_all_at(bytes, self.at)?;
        self.at += whole as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.file.sync_data()?)
    }

    fn finish(self: Box<Self>) -> Result<Ended> {
        self.file.sync_all()?;
        Ok(Ended { len_bytes: self.at, ..Ended::default() })
    }
}
