//! One chunk without its deleted samples.

use tsdb_format::chunkenc::{
    CounterResetHeader, CounterResetHint, FloatHistogram, Histogram, ValueType,
    counter_reset_header, decode_floats,
};
use tsdb_format::tombstones::Interval;

use super::{ChunkInput, EncodedChunks, ReencodeError, Reencoder, TrimCounts, digest};

fn is_deleted(deleted: &[Interval], t: i64) -> bool {
    deleted.iter().any(|interval| interval.min <= t && t <= interval.max)
}

/// What is kept of a chunk.
#[derive(Default)]
struct Kept {
    counts: TrimCounts,
    min_time: i64,
    max_time: i64,
}

impl Kept {
    fn add(&mut self, t: i64, digest: u64) {
        if self.counts.kept == 0 {
            self.min_time = t;
        }
        self.max_time = t;
        self.counts.kept += 1;
        self.counts.digest = self.counts.digest.wrapping_add(digest);
    }
}

fn broken(source: tsdb_format::DecodeError) -> ReencodeError {
    ReencodeError::Decode { input: 0, source }
}

impl Reencoder {
    pub(super) fn trim_floats(
        &mut self,
        chunk: ChunkInput<'_>,
        deleted: &[Interval],
        out: &mut EncodedChunks,
    ) -> Result<TrimCounts, ReencodeError> {
        let samples = &mut self.floats;
        samples.clear();
        decode_floats(chunk.encoding, chunk.data, samples).map_err(broken)?;
        let appender = &mut self.writer.appender;
        appender.reset(chunk.encoding);
        let mut kept = Kept::default();
        for (i, (&t, &value)) in samples.timestamps.iter().zip(&samples.values).enumerate() {
            if is_deleted(deleted, t) {
                kept.counts.deleted += 1;
                continue;
            }
            let st = samples.start_timestamp(i);
            appender.append_float(st, t, value).map_err(|source| ReencodeError::Append {
                input: 0,
                t,
                source,
            })?;
            kept.add(t, digest::of_float(st, t, value));
        }
        Ok(self.finish_trim(&kept, out))
    }

    pub(super) fn trim_histograms(
        &mut self,
        chunk: ChunkInput<'_>,
        deleted: &[Interval],
        out: &mut EncodedChunks,
    ) -> Result<TrimCounts, ReencodeError> {
        let decoder = &mut self.decoder;
        decoder.reset(chunk.encoding, chunk.data).map_err(broken)?;
        let header = counter_reset_header(chunk.encoding, chunk.data).map_err(broken)?;
        let is_gauge = header == Some(CounterResetHeader::Gauge);
        let appender = &mut self.writer.appender;
        appender.reset(chunk.encoding);
        let mut kept = Kept::default();
        while let Some(value_type) = decoder.next(chunk.data).map_err(broken)? {
            let (st, t) = (decoder.start_timestamp(), decoder.timestamp());
            if is_deleted(deleted, t) {
                kept.counts.deleted += 1;
                continue;
            }
            // A stale marker is read without its hint, and would not fit behind a gauge.
            let hint = if is_gauge && kept.counts.kept > 0 {
                CounterResetHint::Gauge
            } else {
                CounterResetHint::Unknown
            };
            let appended = if value_type == ValueType::Histogram {
                let h = decoder.histogram();
                let stale =
                    Histogram { counter_reset_hint: hint, sum: h.sum, ..Default::default() };
                let h = if h.is_stale() { &stale } else { h };
                appender.append_histogram(None, st, t, h, true)
            } else {
                let h = decoder.float_histogram();
                let stale =
                    FloatHistogram { counter_reset_hint: hint, sum: h.sum, ..Default::default() };
                let h = if h.is_stale() { &stale } else { h };
                appender.append_float_histogram(None, st, t, h, true)
            };
            appended.map_err(|source| ReencodeError::Append { input: 0, t, source })?;
            kept.add(t, digest::of_current(decoder));
        }
        Ok(self.finish_trim(&kept, out))
    }

    fn finish_trim(&mut self, kept: &Kept, out: &mut EncodedChunks) -> TrimCounts {
        self.writer.abandon();
        if kept.counts.kept > 0 {
            let appender = &mut self.writer.appender;
            let times = (kept.min_time, kept.max_time);
            let encoding = appender.encoding();
            out.push(encoding, appender.bytes(), times, kept.counts.kept as u32);
        }
        kept.counts
    }
}
