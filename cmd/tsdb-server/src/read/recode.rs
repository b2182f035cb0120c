//! Encodes samples as chunks, for what can't go out as it stands.
//!
//! A chunk ends at 120 samples, and where the next sample asks for another encoding.

use tsdb::query::{Encoding, Samples, ValueType};
use tsdb_format::chunkenc::{AppendError, ChunkAppender, HistogramAppend};

/// As in a merge.
const SAMPLES_MAX: usize = 120;

/// A chunk that was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recoded<'c> {
    pub(super) encoding: Encoding,
    pub(super) min_time: i64,
    pub(super) max_time: i64,
    pub(super) data: &'c [u8],
}

/// Encodes samples one by one.
#[derive(Debug)]
pub(super) struct Recoder {
    appender: ChunkAppender,
    /// Of the open chunk.
    samples: usize,
    min_time: i64,
    max_time: i64,
}

impl Recoder {
    pub(super) fn new() -> Self {
        Self { appender: ChunkAppender::new(Encoding::Xor), samples: 0, min_time: 0, max_time: 0 }
    }

    /// Adds the sample that `from` stands on. `each` takes chunks that are done.
    pub(super) fn push(
        &mut self,
        from: &Samples<'_>,
        each: &mut impl FnMut(Recoded<'_>),
    ) -> Result<(), AppendError> {
        let (st, t) = (from.start_timestamp(), from.timestamp());
        if let Some(histogram) = from.histogram() {
            self.prepare(ValueType::Histogram, st != 0, each);
            let how = self.appender.append_histogram(None, st, t, histogram, false)?;
            self.histogram_appended(how, each);
        } else if let Some(histogram) = from.float_histogram() {
            self.prepare(ValueType::FloatHistogram, st != 0, each);
            let how = self.appender.append_float_histogram(None, st, t, histogram, false)?;
            self.histogram_appended(how, each);
        } else {
            self.prepare(ValueType::Float, st != 0, each);
            self.appender.append_float(st, t, from.float())?;
        }
        if self.samples == 0 {
            self.min_time = t;
        }
        self.max_time = t;
        self.samples += 1;
        Ok(())
    }

    /// Ends the open chunk, if there is one.
    pub(super) fn close(&mut self, each: &mut impl FnMut(Recoded<'_>)) {
        if self.samples > 0 {
            let (min_time, max_time) = (self.min_time, self.max_time);
            let encoding = self.appender.encoding();
            each(Recoded { encoding, min_time, max_time, data: self.appender.bytes() });
            self.samples = 0;
        }
    }

    /// Makes sure that the open chunk takes a sample of this kind.
    fn prepare(&mut self, value: ValueType, has_start: bool, each: &mut impl FnMut(Recoded<'_>)) {
        let wanted = match (value, has_start) {
            (ValueType::Float, false) => Encoding::Xor,
            (ValueType::Float, true) => Encoding::Xor2,
            (ValueType::Histogram, false) => Encoding::Histogram,
            (ValueType::Histogram, true) => Encoding::HistogramSt,
            (ValueType::FloatHistogram, false) => Encoding::FloatHistogram,
            (ValueType::FloatHistogram, true) => Encoding::FloatHistogramSt,
        };
        let encoding = self.appender.encoding();
        // Floats need not have a start to be where others have one.
        let fits = encoding == wanted || (encoding == Encoding::Xor2 && wanted == Encoding::Xor);
        if self.samples > 0 && self.samples < SAMPLES_MAX && fits {
            return;
        }
        self.close(each);
        self.appender.reset(wanted);
    }

    fn histogram_appended(&mut self, how: HistogramAppend, each: &mut impl FnMut(Recoded<'_>)) {
        if how == HistogramAppend::NewChunk {
            let (min_time, max_time) = (self.min_time, self.max_time);
            let encoding = self.appender.encoding();
            each(Recoded { encoding, min_time, max_time, data: self.appender.completed() });
            self.samples = 0;
        }
    }
}
