//! Encodes an out-of-order chunk: one chunk for each run of samples that one can hold.

use tsdb_format::chunkenc::{AppendError, ChunkAppender, Encoding, HistogramAppend};
use tsdb_format::record::HeadChunkRef;

use super::{OooChunk, OooSample, OooValue};
use crate::compact::EncodedChunks;

/// How out-of-order chunks are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OooEncoding {
    /// Floats are XOR2, with their start timestamps.
    pub(crate) is_xor2: bool,
    /// Histograms keep start timestamps.
    pub(crate) histogram_starts: bool,
}

/// Memory for encoding, to be kept.
#[derive(Debug)]
pub(crate) struct OooScratch {
    appender: ChunkAppender,
    pub(super) encoded: EncodedChunks,
    /// Where the chunks went that were written last.
    pub(crate) refs: Vec<HeadChunkRef>,
}

impl Default for OooScratch {
    fn default() -> Self {
        Self {
            appender: ChunkAppender::new(Encoding::Xor),
            encoded: EncodedChunks::default(),
            refs: Vec::new(),
        }
    }
}

impl OooScratch {
    /// Encodes the samples from `min_time` to `max_time`, both inclusive. The result is lent until
    /// the next call.
    ///
    /// A chunk ends where the kind of value changes, and where a histogram needs another one (reset,
    /// other schema or bounds, stale or not).
    ///
    /// # Errors
    /// A histogram that no chunk may hold; such are refused when they are appended.
    pub(crate) fn encode(
        &mut self,
        chunk: &OooChunk,
        (min_time, max_time): (i64, i64),
        options: OooEncoding,
    ) -> Result<&EncodedChunks, AppendError> {
        let Self { appender, encoded, .. } = self;
        encoded.clear();
        let samples = chunk.samples();
        let start = samples.partition_point(|sample| sample.time < min_time);
        let end = samples.partition_point(|sample| sample.time <= max_time);
        let mut run = Run { appender, encoded, times: None };
        for sample in samples.get(start..end).unwrap_or_default() {
            run.append(sample, options)?;
        }
        run.close();
        Ok(encoded)
    }
}

/// The chunk that is being encoded.
struct Run<'s> {
    appender: &'s mut ChunkAppender,
    encoded: &'s mut EncodedChunks,
    /// Of its first and last sample; `None` if there is no chunk.
    times: Option<(i64, i64)>,
}

impl Run<'_> {
    fn append(&mut self, sample: &OooSample, options: OooEncoding) -> Result<(), AppendError> {
        let OooSample { time, start_time, value } = sample;
        let encoding = value.encoding(options);
        let is_full = self.appender.num_samples() == u16::MAX;
        if self.times.is_none() || self.appender.encoding() != encoding || is_full {
            self.close();
            self.appender.reset(encoding);
        }
        let samples = u32::from(self.appender.num_samples());
        let appender = &mut *self.appender;
        let how = match value {
            OooValue::Float(value) => {
                appender.append_float(*start_time, *time, *value)?;
                HistogramAppend::Appended
            }
            OooValue::Histogram(value) => {
                appender.append_histogram(None, *start_time, *time, value, false)?
            }
            OooValue::FloatHistogram(value) => {
                appender.append_float_histogram(None, *start_time, *time, value, false)?
            }
        };
        if how == HistogramAppend::NewChunk
            && let Some(times) = self.times.take()
        {
            self.encoded.push(encoding, appender.completed(), times, samples);
        }
        self.times = Some((self.times.map_or(*time, |(min_time, _)| min_time), *time));
        Ok(())
    }

    fn close(&mut self) {
        if let Some(times) = self.times.take() {
            let samples = u32::from(self.appender.num_samples());
            let encoding = self.appender.encoding();
            self.encoded.push(encoding, self.appender.bytes(), times, samples);
        }
    }
}
