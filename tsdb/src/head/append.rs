//! Appends in-order samples to the open chunk of a series. When it is closed: see `cut`.

use std::sync::atomic::Ordering;

use tsdb_format::chunkenc::{
    AppendError, ChunkAppender, Encoding, FloatHistogram, Histogram, HistogramAppend, OpenFloats,
    OpenStarts, STALE_NAN_BITS, ValueType,
};

use super::cut::{
    ChunkOptions, FLOAT_BYTES_MAX, HISTOGRAM_BYTES_TARGET, HISTOGRAM_SAMPLES_MIN, SAMPLES_ESTIMATE,
    SAMPLES_MAX, chunk_end, range_end,
};
use super::page::{PAGE_SLOTS, Slot};
use super::series::{FullChunk, Open, OpenHistogram};

/// A histogram of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnyHistogram<'a> {
    Int(&'a Histogram),
    Float(&'a FloatHistogram),
}

impl AnyHistogram<'_> {
    pub(super) fn kind(self) -> ValueType {
        match self {
            Self::Int(_) => ValueType::Histogram,
            Self::Float(_) => ValueType::FloatHistogram,
        }
    }

    pub(super) fn is_stale(self) -> bool {
        match self {
            Self::Int(histogram) => histogram.is_stale(),
            Self::Float(histogram) => histogram.is_stale(),
        }
    }

    fn encoding(self, with_starts: bool) -> Encoding {
        match (self, with_starts) {
            (Self::Int(_), false) => Encoding::Histogram,
            (Self::Int(_), true) => Encoding::HistogramSt,
            (Self::Float(_), false) => Encoding::FloatHistogram,
            (Self::Float(_), true) => Encoding::FloatHistogramSt,
        }
    }

    fn append(
        self,
        to: &mut ChunkAppender,
        previous: Option<&ChunkAppender>,
        st: i64,
        t: i64,
    ) -> Result<HistogramAppend, AppendError> {
        match self {
            Self::Int(value) => to.append_histogram(previous, st, t, value, false),
            Self::Float(value) => to.append_float_histogram(previous, st, t, value, false),
        }
    }
}

impl Slot<'_> {
    /// Appends a float that is newer than all others, if the open chunk takes it as it is: what
    /// almost every sample needs. `false`: nothing was done.
    #[inline(always)]
    pub(super) fn append_to_open(
        &mut self,
        (st, t, value): (i64, i64, f64),
        options: &ChunkOptions,
    ) -> bool {
        let Self { hot, blocks, starts, .. } = self;
        let floats = &mut hot.floats;
        let samples = floats.num_samples();
        let fits = samples > 0
            && t > floats.last_time()
            && t < hot.next_at
            && samples != SAMPLES_ESTIMATE
            && samples < SAMPLES_MAX
            && floats.len_bytes() <= FLOAT_BYTES_MAX
            && floats.is_xor2() == options.is_xor2
            && (value.to_bits() == STALE_NAN_BITS) == (floats.last_bits() == STALE_NAN_BITS);
        if fits {
            let mut none = OpenStarts::default();
            let starts = match starts.get_mut(self.slot as usize % PAGE_SLOTS) {
                Some(starts) => starts,
                None => &mut none,
            };
            let chain = &mut hot.chain;
            floats.append(starts, (st, t, value), |at, word| blocks.put(chain, at, word));
            self.newest.store(t, Ordering::Relaxed);
        }
        fits
    }

    /// Appends a float. `false`: there are samples of this time or later, it is dropped.
    pub(super) fn append_float(
        &mut self,
        (st, t, value): (i64, i64, f64),
        options: &ChunkOptions,
        full: &mut Vec<FullChunk>,
    ) -> bool {
        if self.append_to_open((st, t, value), options) {
            return true;
        }
        if !self.prepare_floats(t, options, full) {
            return false;
        }
        let at = self.slot as usize % PAGE_SLOTS;
        let Self { hot, blocks, starts, cold, .. } = self;
        if hot.floats.is_xor2() && starts.is_empty() {
            starts.resize(PAGE_SLOTS, OpenStarts::default());
        }
        let mut none = OpenStarts::default();
        let starts = starts.get_mut(at).unwrap_or(&mut none);
        if hot.floats.num_samples() == 0 {
            *starts = OpenStarts::default();
        }
        let chain = &mut hot.chain;
        hot.floats.append(starts, (st, t, value), |at, word| blocks.put(chain, at, word));
        cold.last_kind = ValueType::Float;
        cold.is_stale = value.to_bits() == STALE_NAN_BITS;
        self.publish();
        true
    }

    /// Sees to it that there is an open chunk that takes a float at `t`. `false`: `t` is not newer
    /// than all samples.
    fn prepare_floats(
        &mut self,
        t: i64,
        options: &ChunkOptions,
        full: &mut Vec<FullChunk>,
    ) -> bool {
        let is_new = self.cold.open == Open::Nothing;
        if !self.is_newer(t) {
            return false;
        }
        let is_full = match (self.cold.open, &self.cold.histogram) {
            (Open::Nothing, _) => true,
            (Open::Histograms, _) => true,
            (Open::Floats, _) => {
                let floats = &self.hot.floats;
                floats.len_bytes() > FLOAT_BYTES_MAX
                    || (options.store_starts && floats.is_xor2() != options.is_xor2)
            }
        };
        if is_full {
            self.open_floats(t, options, full);
        }
        let samples = self.hot.floats.num_samples();
        if samples == SAMPLES_ESTIMATE {
            let (start, now) = (self.hot.min_time, self.hot.floats.last_time());
            self.hot.next_at = chunk_end(start, now, self.hot.next_at, 4.0);
        }
        if !(is_new || is_full) && (t >= self.hot.next_at || samples >= SAMPLES_MAX) {
            self.open_floats(t, options, full);
        }
        true
    }

    /// Whether `t` is newer than all in-order samples.
    fn is_newer(&self, t: i64) -> bool {
        match self.cold.open_max_time(self.hot) {
            Some(newest) => t > newest,
            None => self.cold.chunks.last().is_none_or(|chunk| t > chunk.max_time),
        }
    }

    fn open_floats(&mut self, t: i64, options: &ChunkOptions, full: &mut Vec<FullChunk>) {
        self.close(full);
        self.hot.floats = OpenFloats::new(options.is_xor2);
        self.hot.min_time = t;
        self.hot.next_at = range_end(t, options.range_ms);
        self.cold.open = Open::Floats;
        // The next histogram is not compared with one in front of floats.
        self.cold.histogram = None;
    }

    /// Appends a histogram. `false`: there are samples of this time or later, it is dropped.
    pub(super) fn append_histogram(
        &mut self,
        (st, t): (i64, i64),
        value: AnyHistogram<'_>,
        options: &ChunkOptions,
        full: &mut Vec<FullChunk>,
    ) -> bool {
        if !self.is_newer(t) {
            return false;
        }
        let encoding = value.encoding(options.histogram_starts);
        if self.histogram_needs_chunk(t, encoding, options) {
            self.open_histograms((st, t), value, encoding, options, full);
        } else {
            self.extend_histograms((st, t), value, options, full);
        }
        if let Some(open) = &mut self.cold.histogram {
            open.max_time = t;
            match value {
                // 3.15 holds the next one against what it stored.
                AnyHistogram::Int(value) => {
                    open.last.clone_from(value);
                    open.appender.store_layout(&mut open.last);
                }
                AnyHistogram::Float(value) => {
                    open.last_float.clone_from(value);
                    open.appender.store_float_layout(&mut open.last_float);
                }
            }
        }
        self.cold.last_kind = value.kind();
        self.cold.is_stale = value.is_stale();
        self.publish();
        true
    }

    /// Whether the open chunk is to be closed before a histogram at `t`. Estimates when it is to end,
    /// once enough is known.
    fn histogram_needs_chunk(
        &mut self,
        t: i64,
        encoding: Encoding,
        options: &ChunkOptions,
    ) -> bool {
        let Self { hot, cold, .. } = self;
        let (Open::Histograms, Some(open)) = (cold.open, &cold.histogram) else { return true };
        if open.appender.encoding() != encoding {
            return true;
        }
        let (bytes, samples) = (open.appender.len_bytes(), open.appender.num_samples());
        let next_range =
            if cold.has_end { range_end(hot.min_time, options.range_ms) } else { hot.next_at };
        if !cold.has_end && bytes >= HISTOGRAM_BYTES_TARGET / 4 {
            let ratio = HISTOGRAM_BYTES_TARGET as f64 / bytes as f64;
            hot.next_at = chunk_end(hot.min_time, open.max_time, hot.next_at, ratio);
            cold.has_end = true;
        }
        (t >= hot.next_at || bytes >= HISTOGRAM_BYTES_TARGET * 2)
            && (samples >= HISTOGRAM_SAMPLES_MIN || t >= next_range)
    }

    /// Begins a chunk with a histogram. Its header depends on the one before it.
    fn open_histograms(
        &mut self,
        (st, t): (i64, i64),
        value: AnyHistogram<'_>,
        encoding: Encoding,
        options: &ChunkOptions,
        full: &mut Vec<FullChunk>,
    ) {
        self.close(full);
        let previous = self.cold.histogram.take();
        let mut open = Box::new(OpenHistogram::new(encoding));
        let appended =
            value.append(&mut open.appender, previous.map(|p| p.appender).as_ref(), st, t);
        debug_assert!(appended.is_ok(), "{appended:?}: histograms were checked");
        self.cold.histogram = Some(open);
        self.cold.open = Open::Histograms;
        self.cold.has_end = false;
        self.hot.min_time = t;
        self.hot.next_at = range_end(t, options.range_ms);
    }

    /// Adds a histogram to the open chunk, or begins another one where the encoding has to.
    fn extend_histograms(
        &mut self,
        (st, t): (i64, i64),
        value: AnyHistogram<'_>,
        options: &ChunkOptions,
        full: &mut Vec<FullChunk>,
    ) {
        let Some(mut open) = self.cold.histogram.take() else { return };
        let samples = open.appender.num_samples();
        match value.append(&mut open.appender, None, st, t) {
            Ok(HistogramAppend::NewChunk) => {
                let (min_time, encoding) = (self.hot.min_time, open.appender.encoding());
                let completed = open.appender.completed();
                self.push_closed(completed, min_time, open.max_time, encoding, samples, full);
                self.hot.min_time = t;
                self.hot.next_at = range_end(t, options.range_ms);
            }
            appended => debug_assert!(appended.is_ok(), "{appended:?}: histograms were checked"),
        }
        self.cold.histogram = Some(open);
    }
}

impl OpenHistogram {
    fn new(encoding: Encoding) -> Self {
        Self {
            appender: ChunkAppender::new(encoding),
            last: Histogram::default(),
            last_float: FloatHistogram::default(),
            max_time: 0,
        }
    }
}
