//! The samples of a series, chained over its blocks and heads.
//!
//! ```text
//!  Samples      the floats at hand, and a position in them
//!     ^ pull
//!  Chain        parts merged by time, one sample a timestamp     (a single part skips this)
//!     ^ pull
//!  PartStream   a series in a block or a head: chunks, deleted intervals, the time range
//!     ^ pull
//!  OpenChunk    one chunk: floats are decoded at once, histograms one by one
//! ```

mod chain;
mod part;
mod stream;

use tsdb_format::chunkenc::{
    ChunkDecoder, CounterResetHint, FloatHistogram, FloatSamples, Histogram, ValueType,
};

use super::cursor::Cursor;
use super::error::QueryError;
use super::range::TimeRange;
pub(crate) use chain::Chain;
use part::PartStream;
pub(super) use part::Shown;
pub(crate) use stream::{OpenChunk, Step, Stream};

/// Goes through the samples of a series, in the order of time.
///
/// Made once and [reset](super::Series::samples) for each series, it does not allocate once its
/// memory has grown.
#[derive(Default)]
pub struct Samples<'b> {
    parts: Chain<PartStream<'b>>,
    /// Floats that were decoded ahead.
    run: FloatSamples,
    /// The current sample, if it is a float.
    at: usize,
    /// Where the floats end that [`Samples::next`] may go through.
    end: usize,
    /// The kind of the current sample.
    current: Option<ValueType>,
    /// What could not be read, not yet returned.
    errors: Vec<QueryError>,
    /// A sample that was reached together with an error.
    ready: bool,
}

/// Floats of a series, column by column.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FloatRun<'s> {
    /// Timestamps in milliseconds.
    pub timestamps: &'s [i64],
    /// Values, as many.
    pub values: &'s [f64],
    /// Start timestamps in milliseconds, as many, 0 for none; or no element if there are none.
    pub start_timestamps: &'s [i64],
}

impl<'b> Samples<'b> {
    /// An iterator at its end.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn reset<'s>(
        &mut self,
        cursors: impl Iterator<Item = &'s Cursor<'b>>,
        range: TimeRange,
    ) where
        'b: 's,
    {
        self.parts.clear();
        self.errors.clear();
        for cursor in cursors {
            self.errors.extend(self.parts.add().reset(cursor, range).err());
        }
        self.run.clear();
        (self.at, self.end) = (0, 0);
        self.current = None;
        self.ready = false;
    }

    /// Goes to the next sample and returns its kind; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// When a chunk can't be read. The rest of that chunk is left out; the next call goes on.
    #[expect(clippy::should_implement_trait, reason = "the samples are lent, and can fail")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<ValueType>, QueryError> {
        let next = self.at + 1;
        if next < self.end {
            self.at = next;
            return Ok(Some(ValueType::Float));
        }
        self.pull()
    }

    /// Goes to the next sample; if it is a float, lends it with those right behind it and stands on
    /// the last of them. For who wants all floats, this is the fastest way. `None`: the next sample
    /// is a histogram, which this now stands on, or there is none; [`Self::value_type`] says which.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    #[inline]
    pub fn next_floats(&mut self) -> Result<Option<FloatRun<'_>>, QueryError> {
        if self.next()? != Some(ValueType::Float) {
            return Ok(None);
        }
        let from = self.at;
        self.at = self.end.saturating_sub(1);
        Ok(Some(FloatRun {
            timestamps: self.run.timestamps.get(from..).unwrap_or_default(),
            values: self.run.values.get(from..).unwrap_or_default(),
            start_timestamps: self.run.start_timestamps.get(from..).unwrap_or_default(),
        }))
    }

    /// Goes to the first sample at or behind `t` and returns its kind. Stays where it is if the
    /// current sample is there already; never goes back.
    ///
    /// # Errors
    ///
    /// As [`Self::next`].
    pub fn seek(&mut self, t: i64) -> Result<Option<ValueType>, QueryError> {
        if self.errors.is_empty() && !self.ready {
            if let Some(value_type) = self.current.filter(|_| self.timestamp() >= t) {
                return Ok(Some(value_type));
            }
            match self.parts.only() {
                Some(part) => part.skip_before(t),
                None => {
                    let at = self.at;
                    self.run.clear();
                    let (run, errors) = (&mut self.run, &mut self.errors);
                    let step = self.parts.seek((t, at), &(), run, errors);
                    return self.arrive(step);
                }
            }
        }
        loop {
            let found = self.next()?;
            if found.is_none() || self.timestamp() >= t {
                return Ok(found);
            }
        }
    }

    /// Goes on behind the floats at hand.
    fn pull(&mut self) -> Result<Option<ValueType>, QueryError> {
        if self.errors.is_empty() && !self.ready {
            self.run.clear();
            let (run, errors) = (&mut self.run, &mut self.errors);
            let step = match self.parts.only() {
                Some(part) => part.pull(&(), run, errors),
                None => self.parts.pull(&(), run, errors),
            };
            return self.arrive(step);
        }
        self.deliver()
    }

    /// Stands on what a pull brought.
    #[inline]
    fn arrive(&mut self, step: Step) -> Result<Option<ValueType>, QueryError> {
        self.at = 0;
        self.current = match step {
            Step::Floats => Some(ValueType::Float),
            Step::Histogram(value_type) => Some(value_type),
            Step::End => None,
        };
        if self.errors.is_empty() {
            self.end = self.run.len();
            return Ok(self.current);
        }
        (self.end, self.ready) = (0, true);
        self.deliver()
    }

    /// Returns what could not be read, then what was reached behind it.
    #[cold]
    fn deliver(&mut self) -> Result<Option<ValueType>, QueryError> {
        // At most as many as there are chunks; the order among them does not matter.
        if let Some(error) = self.errors.pop() {
            return Err(error);
        }
        self.ready = false;
        self.end = self.run.len();
        Ok(self.current)
    }

    /// The kind of the current sample, if there is one.
    #[must_use]
    pub fn value_type(&self) -> Option<ValueType> {
        self.current
    }

    /// The time of the current sample, in milliseconds.
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match self.run.timestamps.get(self.at) {
            Some(&t) => t,
            None => self.decoder().map_or(i64::MIN, ChunkDecoder::timestamp),
        }
    }

    /// The start time of the current sample in milliseconds; 0 if it has none.
    #[must_use]
    #[inline]
    pub fn start_timestamp(&self) -> i64 {
        if self.run.is_empty() {
            return self.decoder().map_or(0, ChunkDecoder::start_timestamp);
        }
        self.run.start_timestamp(self.at)
    }

    /// The current sample, if it is a float; else 0.
    #[must_use]
    #[inline]
    pub fn float(&self) -> f64 {
        self.run.values.get(self.at).copied().unwrap_or(0.0)
    }

    /// The current sample, if it is a histogram with integer counts. Its hint is the one within
    /// its chunk: see [`Self::counter_reset_hint`].
    #[must_use]
    pub fn histogram(&self) -> Option<&Histogram> {
        let decoder = self.decoder()?;
        (self.current == Some(ValueType::Histogram)).then(|| decoder.histogram())
    }

    /// As [`Self::histogram`], with float counts.
    #[must_use]
    pub fn float_histogram(&self) -> Option<&FloatHistogram> {
        let decoder = self.decoder()?;
        (self.current == Some(ValueType::FloatHistogram)).then(|| decoder.float_histogram())
    }

    /// What is known about a counter reset in front of the current histogram.
    ///
    /// Where the sample before it comes from another block nothing is, whatever its chunk says.
    #[must_use]
    pub fn counter_reset_hint(&self) -> CounterResetHint {
        let own = self
            .histogram()
            .map(|histogram| histogram.counter_reset_hint)
            .or_else(|| self.float_histogram().map(|histogram| histogram.counter_reset_hint))
            .unwrap_or_default();
        let is_known = match self.parts.single() {
            Some(part) => part.is_consecutive(),
            None => self.parts.is_consecutive(),
        };
        if is_known || own == CounterResetHint::Gauge { own } else { CounterResetHint::Unknown }
    }

    /// Holds the current sample, if it is a histogram.
    fn decoder(&self) -> Option<&ChunkDecoder> {
        self.current.filter(|&value_type| value_type != ValueType::Float)?;
        Some(match self.parts.single() {
            Some(part) => part.decoder(),
            None => self.parts.decoder(),
        })
    }
}
