//! What the caller asks for, what a directory gives, and why it gives no more.

use crate::engine::EngineKind;
use crate::error::Errno;

/// How much the caller insists on staying out of the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Ordinary buffered I/O, with write-behind so that dirty pages stay few.
    #[default]
    Off,
    /// Uncached where it can be had, else through the page cache in the way that leaves least there
    /// ([`Mode::DontCache`], then [`Mode::Buffered`]), with the [`FallbackReason`] kept.
    Prefer,
    /// Uncached, or an error before anything is written; of a file that is read, as soon as it is
    /// known. Files that are in memory anyway may be read ([`FallbackReason::InMemory`]).
    Required,
}

impl Policy {
    /// What this build makes of the policy: with the cargo feature `forcedirectio`, always
    /// [`Policy::Required`].
    #[must_use]
    pub fn effective(self) -> Self {
        if cfg!(feature = "forcedirectio") { Self::Required } else { self }
    }
}

/// The multiples that direct I/O on a file must keep to, in bytes; powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Alignment {
    /// Of addresses in memory.
    pub mem_align: usize,
    /// Of offsets and lengths of writes.
    pub offset_align: usize,
    /// Of offsets and lengths of reads.
    pub read_offset_align: usize,
}

/// How files of a directory are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Past the page cache.
    Direct(Alignment),
    /// Through the page cache, which the kernel frees again as soon as it has written the pages.
    DontCache {
        /// Why not past it.
        reason: FallbackReason,
    },
    /// Through the page cache.
    Buffered {
        /// Why not past it.
        reason: FallbackReason,
    },
}

impl Mode {
    /// Whether files go past the page cache.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self, Self::Direct(_))
    }

    /// Why files do not go past the page cache, if they don't.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<&FallbackReason> {
        match self {
            Self::Direct(_) => None,
            Self::DontCache { reason } | Self::Buffered { reason } => Some(reason),
        }
    }
}

/// Why I/O is buffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum FallbackReason {
    /// [`Policy::Off`]: nobody asked for anything else.
    #[error("uncached I/O is switched off")]
    PolicyOff,
    /// This operating system has no engine here yet.
    #[error("uncached I/O is not implemented for this operating system")]
    UnsupportedPlatform,
    /// The filesystem says that this file takes no direct I/O (encryption, data journalling).
    #[error("the filesystem reports that it has no direct I/O")]
    NotOffered,
    /// Opening with `O_DIRECT` was refused.
    #[error("opening a file for direct I/O was refused")]
    OpenRefused(#[source] Errno),
    /// A direct write was refused at every alignment tried.
    #[error("a direct write was refused")]
    WriteRefused(#[source] Errno),
    /// A direct read was refused.
    #[error("a direct read was refused")]
    ReadRefused(#[source] Errno),
    /// Direct writes, or a file's direct reads, are accepted, but land in the page cache (tmpfs).
    #[error("the filesystem accepts direct I/O, but caches it ({cached_pages} pages seen)")]
    CachedAnyway {
        /// Pages found in the cache after the probe's write, or after some reads.
        cached_pages: u64,
    },
    /// Neither does the filesystem report an alignment nor can its cache be looked into.
    #[error("it cannot be measured whether direct writes are uncached here")]
    Unmeasurable(#[source] Errno),
    /// Neither does the filesystem report an alignment nor does the kernel see what is cached of
    /// its files, be it written directly or not (an overlay over a filesystem that reports none).
    #[error("what the page cache holds of files here cannot be seen")]
    CacheInvisible,
    /// The file is in memory already, in the page cache itself (tmpfs): reading it caches nothing
    /// more. Of readers only, and no error by [`Policy::Required`].
    #[error("the file is in memory already: reading it caches nothing more")]
    InMemory,
    /// An engine that goes through the page cache was asked for.
    #[error("the engine {0}, which goes through the page cache, was asked for")]
    EngineAsked(EngineKind),
    /// What was written directly did not read back the same.
    #[error("a direct write did not read back the same")]
    ReadBackDiffers,
}

impl FallbackReason {
    /// The operating system's error number, where it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::OpenRefused(errno)
            | Self::WriteRefused(errno)
            | Self::ReadRefused(errno)
            | Self::Unmeasurable(errno) => Some(*errno),
            _ => None,
        }
    }

    /// A short stable name, for metrics and JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PolicyOff => "off",
            Self::UnsupportedPlatform => "unsupported_platform",
            Self::NotOffered => "not_offered",
            Self::OpenRefused(_) => "open_refused",
            Self::WriteRefused(_) => "write_refused",
            Self::ReadRefused(_) => "read_refused",
            Self::CachedAnyway { .. } => "cached_anyway",
            Self::Unmeasurable(_) => "unmeasurable",
            Self::CacheInvisible => "cache_invisible",
            Self::InMemory => "in_memory",
            Self::EngineAsked(_) => "engine_asked",
            Self::ReadBackDiffers => "read_back_differs",
        }
    }
}
