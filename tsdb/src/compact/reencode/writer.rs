//! Samples into chunks, cut where 3.15 cuts them.
//!
//! A chunk ends at 120 samples; where the kind of value changes; where histograms begin or cease to
//! have start timestamps; where a float has a start timestamp and the chunk can't store one (but
//! not where the next one has none); and where a histogram does not fit, see
//! [`ChunkAppender::append_histogram`]. There is no limit in bytes.
//!
//! Cut by size, as the out-of-order flush does it, a chunk ends past 1005 bytes; one of histograms
//! past 1024, but not with 10 samples or fewer. There is no limit in samples, and histograms may
//! cease to have start timestamps, like floats.

use tsdb_format::chunkenc::{
    AppendError, ChunkAppender, Encoding, FloatHistogram, Histogram, HistogramAppend, ValueType,
};

use tsdb_format::tombstones::Interval;

use super::{EncodedChunks, FloatEncoding, digest};

/// The most samples in a merged chunk.
const SAMPLES_MAX: usize = 120;
/// By size: a float chunk with more bytes takes no sample.
const FLOAT_BYTES_MAX: usize = 1005;
/// By size: a histogram chunk with more bytes takes no sample, if it has enough.
const HISTOGRAM_BYTES_MAX: usize = 1024;
/// By size: a histogram chunk takes one more than so many samples, whatever its size.
const HISTOGRAM_SAMPLES_MIN: usize = 10;

/// When a chunk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    AtSamples,
    BySize,
}

/// Samples that are not written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dropped {
    pub(super) samples: u64,
    /// The sum of their digests.
    pub(super) digest: u64,
}

/// Writes merged chunks.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    pub(super) appender: ChunkAppender,
    float_encoding: FloatEncoding,
    cut: Cut,
    /// Other samples are dropped; `None`: none are.
    kept: Option<Interval>,
    dropped: Dropped,
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
            cut: Cut::AtSamples,
            kept: None,
            dropped: Dropped::default(),
            is_open: false,
            samples: 0,
            min_time: 0,
            max_time: 0,
        }
    }

    pub(super) fn by_size() -> Self {
        Self { cut: Cut::BySize, ..Self::new(FloatEncoding::Xor) }
    }

    /// From now on only samples of these times are written. What was dropped until now.
    pub(super) fn keep_only(&mut self, kept: Option<Interval>) -> Dropped {
        self.kept = kept;
        std::mem::take(&mut self.dropped)
    }

    /// Whether a sample is to be written. If not, its digest is booked.
    #[inline]
    fn keeps(&mut self, t: i64, digest: impl FnOnce() -> u64) -> bool {
        let Some(Interval { min, max }) = self.kept else { return true };
        let is_kept = (min..=max).contains(&t);
        if !is_kept {
            self.dropped.samples += 1;
            self.dropped.digest = self.dropped.digest.wrapping_add(digest());
        }
        is_kept
    }

    /// Forgets an open chunk, and what was dropped until now.
    pub(super) fn abandon(&mut self) {
        self.dropped = Dropped::default();
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
        let has_room = match self.cut {
            Cut::AtSamples => {
                let fits = encoding == wanted
                    || (value == ValueType::Float && encoding == Encoding::Xor2)
                    || (value == ValueType::Float && encoding == Encoding::Xor && !has_st);
                self.samples < SAMPLES_MAX && fits
            }
            Cut::BySize => {
                let fits =
                    encoding.value_type() == value && (encoding.has_start_timestamps() || !has_st);
                fits && !self.is_large()
            }
        };
        if self.is_open && has_room {
            return;
        }
        self.close(out);
        self.appender.reset(wanted);
        self.is_open = true;
        self.samples = 0;
    }

    /// Whether the open chunk is full, by size.
    fn is_large(&self) -> bool {
        let bytes = self.appender.len_bytes();
        if self.appender.encoding().is_histogram() {
            bytes > HISTOGRAM_BYTES_MAX && self.samples > HISTOGRAM_SAMPLES_MIN
        } else {
            bytes > FLOAT_BYTES_MAX
        }
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
        if !self.keeps(t, || digest::of_float(st, t, value)) {
            return Ok(());
        }
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
        if self.cut == Cut::BySize || self.kept.is_some() {
            let mut each = timestamps.iter().zip(values);
            return each.try_for_each(|(&t, &value)| self.push_float(0, t, value, out));
        }
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
        if !self.keeps(t, || digest::of_histogram(st, t, histogram)) {
            return Ok(());
        }
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
        if !self.keeps(t, || digest::of_float_histogram(st, t, histogram)) {
            return Ok(());
        }
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
