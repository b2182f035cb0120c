//! Whether direct reads are uncached, measured where the filesystem reports no alignment.
//!
//! ```text
//!   pages of the range that are cached    before the read    after it
//!                                         |                  |
//!      cold = touched - before            gained = after - before
//!   three such reads, 16 cold pages:  gained > cold / 2  -->  they are cached anyway
//! ```
//!
//! Reading shows this only of cold pages, so it takes the first reads that meet any; then it is
//! settled. Three reads, because one may happen to be at the place that somebody else just reads
//! through the cache. Until then it is believed, as it is of a file that is read less: its few
//! pages are what there is to lose.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::Errno;
use crate::page_cache::{cached_of_range, pages_of};
use crate::policy::FallbackReason;
use crate::sys;

/// What must be seen before it is settled: so many pages, by so many reads.
const COLD_PAGES_MIN: u64 = 16;
const READS_MIN: u64 = 3;

/// What the reads of one file showed so far.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    settled: AtomicBool,
    reads: AtomicU64,
    cold: AtomicU64,
    gained: AtomicU64,
}

/// A read that is being measured.
#[derive(Debug)]
pub(crate) struct Before {
    range: Range<u64>,
    cached: u64,
}

impl Measured {
    /// Counts what is cached of `range`; `None` if there is nothing to be learned from reading it.
    ///
    /// # Errors
    ///
    /// [`FallbackReason::Unmeasurable`] if the kernel won't tell.
    pub(crate) fn before(
        &self,
        file: &File,
        range: Range<u64>,
    ) -> Result<Option<Before>, FallbackReason> {
        if self.settled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let cached = cached_pages(file, &range)?;
        let touched = pages_of(&range, sys::page_bytes());
        Ok((cached < touched).then_some(Before { range, cached }))
    }

    /// Counts again after the read.
    ///
    /// # Errors
    ///
    /// [`FallbackReason::CachedAnyway`] once it is seen that what is read directly is cached; or
    /// see [`Measured::before`].
    pub(crate) fn after(&self, file: &File, before: &Before) -> Result<(), FallbackReason> {
        let cached = cached_pages(file, &before.range)?;
        let touched = pages_of(&before.range, sys::page_bytes());
        self.count(touched - before.cached, cached.saturating_sub(before.cached))
    }

    fn count(&self, cold: u64, gained: u64) -> Result<(), FallbackReason> {
        let cold = self.cold.fetch_add(cold, Ordering::Relaxed) + cold;
        let gained = self.gained.fetch_add(gained, Ordering::Relaxed) + gained;
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        if cold < COLD_PAGES_MIN || reads < READS_MIN {
            return Ok(());
        }
        self.settled.store(true, Ordering::Relaxed);
        if 2 * gained > cold {
            return Err(FallbackReason::CachedAnyway { cached_pages: gained });
        }
        Ok(())
    }
}

fn cached_pages(file: &File, range: &Range<u64>) -> Result<u64, FallbackReason> {
    let unmeasurable = |error: io::Error| FallbackReason::Unmeasurable(Errno::of(&error));
    cached_of_range(file, range).map_err(unmeasurable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_reads_and_enough_cold_pages_settle_it() {
        let caching = Measured::default();
        assert_eq!(caching.count(256, 256), Ok(()), "one read says nothing");
        assert_eq!(caching.count(256, 256), Ok(()));
        let reason = FallbackReason::CachedAnyway { cached_pages: 768 };
        assert_eq!(caching.count(256, 256), Err(reason));

        let few = Measured::default();
        for _ in 0..15 {
            assert_eq!(few.count(1, 1), Ok(()), "nor do few pages");
        }
        assert_eq!(few.count(1, 1), Err(FallbackReason::CachedAnyway { cached_pages: 16 }));

        let uncached = Measured::default();
        assert_eq!(uncached.count(256, 256), Ok(()), "somebody else's, for once");
        for _ in 0..2 {
            assert_eq!(uncached.count(256, 10), Ok(()));
        }
        assert!(uncached.settled.load(Ordering::Relaxed));
    }
}
