//! A limit on bytes a second, which all files of an `Io` share.
//!
//! ```text
//!   bytes     |== 1 MiB ==|== 1 MiB ==|            who takes bytes waits until those that were
//!   due    ---+-----------+-----------+----> t     taken before would be through, less the burst
//! ```

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So much may go at once after a pause; a single piece may be more than that.
const BURST: Duration = Duration::from_millis(100);

/// Lets bytes through at a rate; a clone shares it. Without a rate, all at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Option<Arc<Limit>>);

#[derive(Debug)]
struct Limit {
    bytes_per_second: NonZeroU64,
    /// When everything that was taken so far is through.
    due: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self(
            bytes_per_second.map(|bytes_per_second| {
                Arc::new(Limit { bytes_per_second, due: Mutex::new(None) })
            }),
        )
    }

    /// Waits until `bytes` may go; how long that was.
    pub(crate) fn take(&self, bytes: usize) -> Duration {
        let Some(limit) = &self.0 else { return Duration::ZERO };
        let wait = limit.take(bytes as u64, Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        wait
    }
}

impl Limit {
    /// How long `bytes` have to wait from `now` on. They are taken at once, so that others queue up
    /// behind them.
    fn take(&self, bytes: u64, now: Instant) -> Duration {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used is not saved up.
        let from = due.map_or(now, |due| due.max(now));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        *due = Some(from.checked_add(takes).unwrap_or(from));
        (from - now).saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(bytes_per_second: u64) -> Limit {
        let bytes_per_second = NonZeroU64::new(bytes_per_second).unwrap();
        Limit { bytes_per_second, due: Mutex::new(None) }
    }

    #[test]
    fn bytes_go_at_the_rate_and_others_queue_up_behind_them() {
        let (limit, start) = (limit(1000), Instant::now());
        assert_eq!(limit.take(3000, start), Duration::ZERO);
        assert_eq!(limit.take(500, start), 3 * SECOND - BURST);
        assert_eq!(limit.take(1, start + SECOND), Duration::from_millis(2500) - BURST);
    }

    #[test]
    fn a_pause_is_not_saved_up() {
        let (limit, start) = (limit(1000), Instant::now());
        let later = start + 1000 * SECOND;
        assert_eq!(limit.take(1, start), Duration::ZERO);
        assert_eq!(limit.take(1000, later), Duration::ZERO);
        assert_eq!(limit.take(1000, later), SECOND - BURST);
    }

    #[test]
    fn absurd_amounts_neither_overflow_nor_panic() {
        let (limit, start) = (limit(1), Instant::now());
        assert_eq!(limit.take(u64::MAX, start), Duration::ZERO);
        limit.take(u64::MAX, start);
        assert_eq!(Pace::new(None).take(usize::MAX), Duration::ZERO);
    }
}
