//! Where a sample goes: in order, out of order, or back to the caller.
//!
//! ```text
//!   t >= min valid time:   newer than the open chunk, or there is none       in order
//!                          as old as its last sample, and the same           in order (and dropped)
//!                          as old, and another                               duplicate
//!   else, with a window:   t >= newest of the head - window                  out of order
//!                          older                                             too old
//!   else, without:         t < min valid time                                out of bounds
//!                          older than the open chunk                         out of order, refused
//! ```
//!
//! Asked when a sample is appended, and again when it is committed. Source: Prometheus 3.15,
//! `appendable` and its like in `tsdb/head_append.go`.

use tsdb_format::chunkenc::ValueType;

use super::append::AnyHistogram;
use super::error::AppendError;
use super::histogram_check::{is_same, is_same_float};
use super::page::Slot;

/// What samples are held against: as it was when the appender began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Nothing below is taken in order.
    pub(super) min_valid_time: i64,
    /// The newest sample of the head.
    pub(super) head_max_time: i64,
    pub(super) out_of_order_window_ms: i64,
}

/// Where a sample goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    In,
    OutOf,
}

impl Bounds {
    /// Nothing is taken, for an appender that has not begun.
    pub(super) const NOTHING: Self =
        Self { min_valid_time: i64::MAX, head_max_time: 0, out_of_order_window_ms: 0 };

    /// Whether a sample can't be taken, whatever its series holds.
    pub(super) fn is_out(&self, t: i64) -> bool {
        self.out_of_order_window_ms == 0 && t < self.min_valid_time
    }

    /// Where the first sample of a series goes.
    pub(super) fn order_of_first(&self, t: i64) -> Result<Order, AppendError> {
        if t < self.min_valid_time { self.behind(t) } else { Ok(Order::In) }
    }

    /// A sample that is not newer than the open chunk, or is before the valid time.
    fn behind(&self, t: i64) -> Result<Order, AppendError> {
        if self.out_of_order_window_ms > 0 {
            let oldest = self.head_max_time.wrapping_sub(self.out_of_order_window_ms);
            return if t >= oldest { Ok(Order::OutOf) } else { Err(AppendError::TooOldSample) };
        }
        Err(if t < self.min_valid_time {
            AppendError::OutOfBounds
        } else {
            AppendError::OutOfOrderSample
        })
    }
}

impl Slot<'_> {
    /// Where a float goes.
    pub(super) fn order_of_float(
        &self,
        t: i64,
        value: f64,
        bounds: &Bounds,
    ) -> Result<Order, AppendError> {
        if t < bounds.min_valid_time {
            return bounds.behind(t);
        }
        match self.cold.open_max_time(self.hot) {
            Some(newest) if t < newest => bounds.behind(t),
            Some(newest) if t == newest => self.same_float(t, value),
            _ => Ok(Order::In),
        }
    }

    /// Where a histogram goes.
    pub(super) fn order_of_histogram(
        &self,
        t: i64,
        value: AnyHistogram<'_>,
        bounds: &Bounds,
    ) -> Result<Order, AppendError> {
        if t < bounds.min_valid_time {
            return bounds.behind(t);
        }
        match self.cold.open_max_time(self.hot) {
            Some(newest) if t < newest => bounds.behind(t),
            Some(newest) if t == newest => self.same_histogram(t, value),
            _ => Ok(Order::In),
        }
    }

    fn same_float(&self, t: i64, value: f64) -> Result<Order, AppendError> {
        if self.cold.last_kind != ValueType::Float {
            return Err(AppendError::DuplicateHistogram { timestamp_ms: t });
        }
        let existing = self.hot.floats.last_bits();
        if existing == value.to_bits() {
            return Ok(Order::In);
        }
        let existing = f64::from_bits(existing);
        Err(AppendError::DuplicateSample { timestamp_ms: t, existing, new: value })
    }

    fn same_histogram(&self, t: i64, value: AnyHistogram<'_>) -> Result<Order, AppendError> {
        let last = self.cold.histogram.as_ref().filter(|_| self.cold.last_kind == value.kind());
        let is_same = last.is_some_and(|last| match value {
            AnyHistogram::Int(value) => is_same(value, &last.last),
            AnyHistogram::Float(value) => is_same_float(value, &last.last_float),
        });
        if is_same {
            return Ok(Order::In);
        }
        Err(AppendError::DuplicateHistogram { timestamp_ms: t })
    }
}
