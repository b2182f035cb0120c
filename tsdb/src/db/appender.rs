//! Appending through a database: the head's appender, and what a database adds to it.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::error::DbError;
use super::shared::Shared;
use crate::head::{Appender, Committed, HeadError};

/// An appender of the head whose commit wakes the flush when the head is ready for it.
///
/// Everything but the end is [`Appender`]'s, by [`Deref`]. Dropping it rolls back.
pub struct DbAppender<'d> {
    inner: Appender<'d>,
    shared: &'d Shared,
}

impl DbAppender<'_> {
    /// Makes what was appended visible, all at once, after it is in the write-ahead log.
    ///
    /// # Errors
    /// The log can't be written; nothing of it is visible then, though some may be in the log.
    pub fn commit(self) -> Result<Committed, HeadError> {
        let committed = self.inner.commit()?;
        if self.shared.head.is_compactable() {
            self.shared.flush_signal.notify();
        }
        Ok(committed)
    }

    /// Forgets what was appended.
    ///
    /// # Errors
    /// The log can't be written: series that are new are logged even so, as Prometheus does.
    pub fn rollback(self) -> Result<(), HeadError> {
        self.inner.rollback()
    }
}

impl<'d> Deref for DbAppender<'d> {
    type Target = Appender<'d>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for DbAppender<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl Shared {
    /// An appender, once the head has room.
    pub(super) fn appender(&self) -> Result<DbAppender<'_>, DbError> {
        self.check_open()?;
        if let Some(span_ms_max) = self.options.head_span_ms_max() {
            self.wait_for_room(span_ms_max)?;
        }
        Ok(DbAppender { inner: self.head.appender(), shared: self })
    }

    /// Waits until the head spans no more than that, for as long as the options say: whoever appends
    /// faster than it is flushed is slowed down, instead of filling the memory.
    fn wait_for_room(&self, span_ms_max: i64) -> Result<(), DbError> {
        let has_room = || self.head_span_ms() <= span_ms_max;
        if has_room() || !self.options.background || !self.auto_compact.load(Ordering::Acquire) {
            return Ok(());
        }
        let deadline = Instant::now() + self.options.backlog_wait;
        let mut flushes = self.flushes.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.check_open()?;
            if has_room() {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DbError::Backlog { span_ms: self.head_span_ms(), span_ms_max });
            }
            self.flush_signal.notify();
            let waited = self.flushed.wait_timeout(flushes, left);
            flushes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Milliseconds from the head's first to its last sample; 0 if there is none.
    fn head_span_ms(&self) -> i64 {
        self.head.max_time().saturating_sub(self.head.min_time()).max(0)
    }
}
