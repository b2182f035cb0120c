//! The engines by name, and why one can't be had.

use std::fmt;
use std::str::FromStr;

use crate::error::Errno;
use crate::policy::FallbackReason;

/// How writes of a file are issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EngineKind {
    /// Past the page cache, several writes at once, submitted to an io_uring by the caller.
    IoUring,
    /// Past the page cache, one write after the other, by a helper thread.
    Thread,
    /// Past the page cache, by the calling thread.
    Blocking,
    /// Through the page cache, which the kernel frees again by itself (`RWF_DONTCACHE`).
    DontCache,
    /// Through the page cache, with write-behind.
    Buffered,
}

impl EngineKind {
    /// All of them, the preferred ones first.
    pub const ALL: [Self; 5] =
        [Self::IoUring, Self::Thread, Self::Blocking, Self::DontCache, Self::Buffered];

    /// Whether it needs files opened for direct I/O.
    #[must_use]
    pub fn is_direct(self) -> bool {
        matches!(self, Self::IoUring | Self::Thread | Self::Blocking)
    }

    /// A short stable name, as shown and parsed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Thread => "thread",
            Self::Blocking => "blocking",
            Self::DontCache => "dontcache",
            Self::Buffered => "buffered",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not the name of an [`EngineKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no engine is called {name:?}: io_uring, thread, blocking, dontcache or buffered")]
#[non_exhaustive]
pub struct UnknownEngine {
    /// What was given.
    pub name: String,
}

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == name);
        named.ok_or_else(|| UnknownEngine { name: name.to_owned() })
    }
}

/// Why an engine can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum EngineRefusal {
    /// The directory takes no uncached I/O.
    #[error("no uncached I/O here")]
    NotUncached(#[source] FallbackReason),
    /// The directory could not be tried: it is missing, read-only, full, or its disk fails.
    #[error("the directory could not be tried")]
    Untried(#[source] Errno),
    /// The kernel made no io_uring (`ENOSYS`: it has none; `EPERM`: seccomp, as in containers).
    #[error("the kernel refused an io_uring")]
    Ring(#[source] Errno),
    /// `kernel.io_uring_disabled` is set.
    #[error("io_uring is switched off (kernel.io_uring_disabled = {setting})")]
    RingDisabled {
        /// 1: for the unprivileged; 2: for everybody.
        setting: u8,
    },
    /// A write with `RWF_DONTCACHE` was refused (Linux before 6.14, or the filesystem).
    #[error("a write with RWF_DONTCACHE was refused")]
    DontCache(#[source] Errno),
    /// No helper thread could be started.
    #[error("no helper thread could be started")]
    Thread(#[source] Errno),
    /// This operating system has no such thing, or this crate does not use it yet.
    #[error("not implemented for this operating system")]
    UnsupportedPlatform,
}

impl EngineRefusal {
    /// A short stable name, for metrics and JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotUncached(reason) => reason.name(),
            Self::Untried(_) => "untried",
            Self::Ring(_) => "io_uring_refused",
            Self::RingDisabled { .. } => "io_uring_disabled",
            Self::DontCache(_) => "dontcache_refused",
            Self::Thread(_) => "thread_refused",
            Self::UnsupportedPlatform => "unsupported_platform",
        }
    }
}

/// Whether one engine works in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineReport {
    /// Which one.
    pub kind: EngineKind,
    /// That it works, or why it doesn't.
    pub result: Result<(), EngineRefusal>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_they_are_shown() {
        for kind in EngineKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "iouring".parse::<EngineKind>().unwrap_err();
        assert!(error.to_string().contains("\"iouring\""), "{error}");
        assert_eq!(format!("{:>10}|", EngineKind::Thread), "    thread|");
    }
}
