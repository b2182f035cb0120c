//! Samples into chunks, cut where 3.15 cuts them.
//!
//! A chunk ends at 120 samples; where the kind of value changes; where histograms begin or cease to
//! have start timestamps; where a float has a start timestamp and the chunk can't store one (but
//! not where the next one has none); and where a histogram does not fit, see
//! [`ChunkAppender::append_histogram`]. There is no limit in bytes.

use tsdb_format::chunkenc::{
    AppendError, ChunkAppender, Encoding, FloatHistogram, Histogram, HistogramAppend, ValueType,
};

use super::{EncodedChunks, FloatEncoding};

/// The most samples in a merged chunk.
const SAMPLES_MAX: usize = 120;

/// Writes merged chunks.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    pub(super) appender: ChunkAppender,
    float_encoding: FloatEncoding,
    is_open: bool,
    samples: usize,
    min_time: i64,
    max_time: i64,
}

impl ChunkWriter {
    pub(super) fn new(float_encoding: FloatEncoding) -> Self {
        Self {
            appender: ChunkAppender::new(Encoding::Xor),
            float_encoding,
            is_open: false,
            samples: 0,
            min_time: 0,
            max_time: 0,
        }
    }

    /// Forgets an open chunk.
    pub(super) fn abandon(&mut self) {
        self.is_open = false;
    }

    /// Writes out the open chunk, if there is one.
    pub(super) fn close(&mut self, out: &mut EncodedChunks) {
        if self.is_open {
            let times = (self.min_time, self.max_time);
            let encoding = self.appender.encoding();
            out.push(encoding, self.appender.bytes(), times, self.samples as u32);
            self.is_open = false;
        }
    }

    /// The encoding that a sample asks for.
    fn wanted(&self, value: ValueType, has_st: bool) -> Encoding {
        match (value, has_st) {
            (ValueType::Float, false) if self.float_encoding == FloatEncoding::Xor => Encoding::Xor,
            (ValueType::Float, _) => Encoding::Xor2,
            (ValueType::Histogram, false) => Encoding::Histogram,
            (ValueType::Histogram, true) => Encoding::HistogramSt,
            (ValueType::FloatHistogram, false) => Encoding::FloatHistogram,
            (ValueType::FloatHistogram, true) => Encoding::FloatHistogramSt,
        }
    }

    /// Makes sure that the open chunk may take a sample.
    #[inline]
    fn prepare(&mut self, value: ValueType, has_st: bool, out: &mut EncodedChunks) {
        let encoding = self.appender.encoding();
        let wanted = self.wanted(value, has_st);
        let fits = encoding == wanted
            || (value == ValueType::Float && encoding == Encoding::Xor2)
            || (value == ValueType::Float && encoding == Encoding::Xor && !has_st);
        if self.is_open && self.samples < SAMPLES_MAX && fits {
            return;
        }
        self.close(out);
        self.appender.reset(wanted);
        self.is_open = true;
        self.samples = 0;
    }

    /// Books a sample that was appended.
    #[inline]
    fn appended(&mut self, t: i64) {
        if self.samples == 0 {
            self.min_time = t;
        }
        self.max_time = t;
        self.samples += 1;
    }

    #[inline]
    pub(super) fn push_float(
        &mut self,
        st: i64,
        t: i64,
        value: f64,
        out: &mut EncodedChunks,
    ) -> Result<(), AppendError> {
        self.prepare(ValueType::Float, st != 0, out);
        self.appender.append_float(st, t, value)?;
        self.appended(t);
        Ok(())
    }

    /// Appends floats without start timestamps.
    pub(super) fn push_floats(
        &mut self,
        mut timestamps: &[i64],
        mut values: &[f64],
        out: &mut EncodedChunks,
    ) -> Result<(), AppendError> {
        while !timestamps.is_empty() {
            self.prepare(ValueType::Float, false, out);
            let count = timestamps.len().min(SAMPLES_MAX - self.samples);
            let (now, later) = timestamps.split_at(count);
            let (values_now, values_later) = values.split_at(count);
            self.appender.append_floats(now, values_now)?;
            if self.samples == 0 {
                self.min_time = now[0];
            }
            self.max_time = now[count - 1];
            self.samples += count;
            (timestamps, values) = (later, values_later);
        }
        Ok(())
    }

    pub(super) fn push_histogram(
        &mut self,
        st: i64,
        t: i64,
        histogram: &Histogram,
        out: &mut EncodedChunks,
    ) -> Result<(), AppendError> {
        self.prepare(ValueType::Histogram, st != 0, out);
        let how = self.appender.append_histogram(None, st, t, histogram, false)?;
        self.histogram_appended(how, t, out);
        Ok(())
    }

    pub(super) fn push_float_histogram(
        &mut self,
        st: i64,
        t: i64,
        histogram: &FloatHistogram,
        out: &mut EncodedChunks,
    ) -> Result<(), AppendError> {
        self.prepare(ValueType::FloatHistogram, st != 0, out);
        let how = self.appender.append_float_histogram(None, st, t, histogram, false)?;
        self.histogram_appended(how, t, out);
        Ok(())
    }

    fn histogram_appended(&mut self, how: HistogramAppend, t: i64, out: &mut EncodedChunks) {
        if how == HistogramAppend::NewChunk {
            let times = (self.min_time, self.max_time);
            let encoding = self.appender.encoding();
            out.push(encoding, self.appender.completed(), times, self.samples as u32);
            self.samples = 0;
        }
        self.appended(t);
    }
}
