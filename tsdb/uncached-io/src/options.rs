//! What may be chosen: for everything written through one `Io`, and for each file.

use std::num::NonZeroU64;

use crate::engine::EngineKind;

/// The most buffers of one writer, or of one scan, whatever is asked for: as many as a ring has room
/// for.
pub(crate) const BUFFERS_MAX: usize = 1024;
/// The most bytes of one buffer or window: half of what the kernel takes in one call.
pub(crate) const BUFFER_BYTES_MAX: usize = 1 << 30;

/// Sizes of the buffers that writers use, and who writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoOptions {
    /// Size of one buffer, which is also the size of a write; at most 1 GiB. Rounded up to the
    /// alignment.
    pub buffer_bytes: usize,
    /// Buffers of one writer, taken as needed, and so the most writes under way at once; at most
    /// 1024. With 1 the caller itself writes, and no thread is ever started.
    pub buffers_per_writer: usize,
    /// The most that is kept of closed files' buffers for the next ones.
    pub pool_bytes_max: usize,
    /// Instead of what the probe would choose.
    pub engine: Option<EngineKind>,
    /// Direct readers take a range from the page cache if all of it lies there already, see
    /// [`Reader`](crate::Reader). Off with the cargo feature `forcedirectio`.
    pub read_from_page_cache: bool,
    /// The most bytes that all readers and writers of an [`Io`](crate::Io) read and write in a
    /// second, together; what comes from the page cache by
    /// [`IoOptions::read_from_page_cache`] does not count. Whoever reads or writes waits.
    pub bytes_per_second_max: Option<NonZeroU64>,
}

impl Default for IoOptions {
    fn default() -> Self {
        Self {
            buffer_bytes: 1 << 20,
            buffers_per_writer: 4,
            pool_bytes_max: 8 << 20,
            engine: None,
            read_from_page_cache: !cfg!(feature = "forcedirectio"),
            bytes_per_second_max: None,
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

    /// Sets [`IoOptions::bytes_per_second_max`].
    #[must_use]
    pub fn bytes_per_second_max(self, bytes_per_second_max: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second_max, ..self }
    }

    /// Sets [`IoOptions::engine`].
    ///
    /// The direct ones need a directory that takes direct I/O, and a policy other than
    /// [`Policy::Off`](crate::Policy::Off); where one can't be had, the next in line is used
    /// ([`Io::tried`](crate::Io::tried) says why). The ones through the page cache contradict
    /// [`Policy::Required`](crate::Policy::Required), which is an error.
    #[must_use]
    pub fn engine(self, engine: EngineKind) -> Self {
        Self { engine: Some(engine), ..self }
    }
}

/// When written bytes are to be on the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// With [`Writer::finish`](crate::Writer::finish) and
    /// [`Writer::sync_partial`](crate::Writer::sync_partial).
    #[default]
    Finish,
    /// Also with each write (`RWF_DSYNC`): a completed one survives a power cut.
    EachWrite,
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
    /// used is given back by [`Writer::finish`](crate::Writer::finish).
    pub expected_len_bytes: Option<u64>,
    /// Instead of [`IoOptions::buffer_bytes`].
    pub buffer_bytes: Option<usize>,
    /// Instead of [`IoOptions::buffers_per_writer`].
    pub buffers: Option<usize>,
    /// When bytes are durable.
    pub durability: Durability,
    /// Instead of [`IoOptions::engine`].
    pub engine: Option<EngineKind>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self {
            mode_bits: 0o666,
            replace: false,
            expected_len_bytes: None,
            buffer_bytes: None,
            buffers: None,
            durability: Durability::Finish,
            engine: None,
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

    /// Sets [`CreateOptions::durability`].
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Sets [`CreateOptions::engine`]; see [`IoOptions::engine()`].
    #[must_use]
    pub fn engine(self, engine: EngineKind) -> Self {
        Self { engine: Some(engine), ..self }
    }
}
