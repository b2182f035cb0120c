//! Who is at work: appenders and views that are open, each with a number of its own that only rises.
//!
//! What is taken from memory is first marked and taken later, once all who were open at the mark are
//! closed: those who came later met the mark. So nobody waits for a reader, and nobody loses what
//! they hold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::page::Views;
use crate::query::TimeRange;

/// Open appenders and views.
#[derive(Default)]
pub(super) struct Registry {
    open: Mutex<OpenOnes>,
    appender_closed: Condvar,
    oldest_view: AtomicU64,
    newest_view: AtomicU64,
}

#[derive(Default)]
struct OpenOnes {
    last: u64,
    /// With the time below which they take nothing.
    appenders: BTreeMap<u64, i64>,
    views: BTreeMap<u64, TimeRange>,
}

impl Registry {
    /// An appender begins that takes samples from `min_valid_time` on.
    pub(super) fn add_appender(&self, min_valid_time: i64) -> u64 {
        let mut open = self.lock();
        open.last += 1;
        let id = open.last;
        open.appenders.insert(id, min_valid_time);
        id
    }

    pub(super) fn remove_appender(&self, id: u64) {
        self.lock().appenders.remove(&id);
        self.appender_closed.notify_all();
    }

    pub(super) fn add_view(&self, range: TimeRange) -> u64 {
        let mut open = self.lock();
        open.last += 1;
        let id = open.last;
        open.views.insert(id, range);
        self.publish(&open);
        id
    }

    pub(super) fn remove_view(&self, id: u64) {
        let mut open = self.lock();
        open.views.remove(&id);
        self.publish(&open);
    }

    /// The open views.
    #[inline]
    pub(super) fn views(&self) -> Views {
        Views {
            oldest: self.oldest_view.load(Ordering::Acquire),
            newest: self.newest_view.load(Ordering::Acquire),
        }
    }

    /// A mark: who comes later has a greater number.
    pub(super) fn mark(&self) -> u64 {
        self.lock().last
    }

    /// Whether all who were open at the mark are closed.
    pub(super) fn is_past(&self, mark: u64) -> bool {
        let open = self.lock();
        let is_later = |id: Option<&u64>| id.is_none_or(|id| *id > mark);
        is_later(open.appenders.keys().next()) && is_later(open.views.keys().next())
    }

    /// Whether all views that were open at the mark are closed, but for number `except`.
    pub(super) fn are_views_past(&self, mark: u64, except: u64) -> bool {
        self.lock().views.keys().find(|id| **id != except).is_none_or(|id| *id > mark)
    }

    /// As [`Self::is_past`], but waits up to `wait` for appenders, and view number `except` does not
    /// count.
    pub(super) fn wait_past(&self, mark: u64, wait: Duration, except: u64) -> bool {
        let is_open =
            |open: &mut OpenOnes| open.appenders.keys().next().is_some_and(|id| *id <= mark);
        let waited = self.appender_closed.wait_timeout_while(self.lock(), wait, is_open);
        let is_timeout = waited.is_ok_and(|(_, waited)| waited.timed_out());
        !is_timeout && self.are_views_past(mark, except)
    }

    /// The oldest number that is open, or else the one to come, and the last one that was given.
    pub(super) fn watermarks(&self) -> (u64, u64) {
        let open = self.lock();
        let firsts = [open.appenders.keys().next(), open.views.keys().next()];
        let oldest = firsts.into_iter().flatten().min().copied();
        (oldest.unwrap_or(open.last + 1), open.last)
    }

    /// How many appenders are open.
    pub(super) fn appenders(&self) -> usize {
        self.lock().appenders.len()
    }

    /// Waits until no appender is open that takes samples at or before `max_time`.
    pub(super) fn wait_for_appenders(&self, max_time: i64) {
        let takes = |open: &mut OpenOnes| open.appenders.values().any(|min| *min <= max_time);
        drop(self.appender_closed.wait_while(self.lock(), takes));
    }

    fn publish(&self, open: &OpenOnes) {
        let (oldest, newest) = (open.views.keys().next(), open.views.keys().next_back());
        self.oldest_view.store(oldest.copied().unwrap_or(0), Ordering::Release);
        self.newest_view.store(newest.copied().unwrap_or(0), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, OpenOnes> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_passed_once_those_before_it_are_closed() {
        let registry = Registry::default();
        let appender = registry.add_appender(0);
        let view = registry.add_view(TimeRange::ALL);
        let mark = registry.mark();
        let later = registry.add_appender(0);
        assert!(!registry.is_past(mark));
        registry.remove_appender(appender);
        assert!(!registry.is_past(mark));
        assert_eq!(registry.views().newest, view);
        registry.remove_view(view);
        assert!(registry.is_past(mark), "the later one does not count");
        assert_eq!(registry.views().newest, 0);
        registry.remove_appender(later);
    }

    #[test]
    fn appenders_that_take_later_samples_are_not_waited_for() {
        let registry = Registry::default();
        registry.add_appender(1000);
        registry.wait_for_appenders(999);
        let earlier = registry.add_appender(500);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| registry.wait_for_appenders(999));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waits.is_finished());
            registry.remove_appender(earlier);
        });
    }
}
