//! The samples of one series: times, values, chunks.

use tsdb_format::chunkenc::{
    ChunkAppender, Encoding, FloatHistogram, Histogram, HistogramAppend, STALE_NAN_BITS, ValueType,
};

use super::GenerateError;
use super::catalog::{Template, Value};
use super::histogram::HistogramSignal;
use super::options::GenerateOptions;
use super::random::{mix, unit};
use super::signal::Signal;
use super::targets::Target;
use crate::compact::{BlockBuilder, NewChunk};

/// What a head puts into a chunk.
const SAMPLES_PER_CHUNK: usize = 120;
/// One scrape in this many is late.
const LATE_SCRAPES: usize = 160;
const LATE_MS_MAX: u64 = 40;
/// One target in this many is scraped by all replicas at the same milliseconds.
const ALIGNED_TARGETS: u64 = 4;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The scrapes of one series.
#[derive(Clone, Copy)]
pub(super) struct Scrapes<'a> {
    pub(super) target: &'a Target,
    /// Whether the target goes away after this block: its series end with a stale marker.
    pub(super) last_of_target: bool,
}

/// Writes the samples of series after series of one block.
pub(super) struct Sampler<'a> {
    options: &'a GenerateOptions,
    floats: Vec<Encoding>,
    histograms: Vec<Encoding>,
    block: u32,
    replica: u32,
    start_ms: i64,
    times: Vec<i64>,
    values: Vec<f64>,
    appender: ChunkAppender,
    previous: ChunkAppender,
    signal: HistogramSignal,
    histogram: Histogram,
    float_histogram: FloatHistogram,
}

/// What all samples of a series have in common.
#[derive(Clone, Copy)]
struct Series {
    seed: u64,
    encoding: Encoding,
    started_ms: i64,
    noise: u64,
    phase: f64,
    stale: bool,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(options: &'a GenerateOptions, block: u32, replica: u32) -> Self {
        Self {
            options,
            floats: options.encodings_of(false),
            histograms: options.encodings_of(true),
            block,
            replica,
            start_ms: options.block_range_ms(block).0,
            times: Vec::new(),
            values: Vec::new(),
            appender: ChunkAppender::new(Encoding::Xor),
            previous: ChunkAppender::new(Encoding::Xor),
            signal: HistogramSignal::new(),
            histogram: Histogram::default(),
            float_histogram: FloatHistogram::default(),
        }
    }

    /// Writes the chunks of the series `template` of the target that `scrapes` tells of.
    pub(super) fn write(
        &mut self,
        builder: &mut BlockBuilder,
        scrapes: Scrapes<'_>,
        template: &Template,
    ) -> Result<(), GenerateError> {
        let series = self.series(scrapes, template);
        match template.value {
            Value::Float { model, weight } => {
                let signal = Signal {
                    model,
                    weight,
                    seed: series.seed,
                    started: series.started_ms as f64 / 1000.0,
                    noise: series.noise,
                    phase: series.phase,
                };
                self.write_floats(builder, series, &signal)
            }
            Value::Histogram => self.write_histograms(builder, series),
        }
    }

    /// Sets the times of the series' scrapes, and says what else there is to know.
    fn series(&mut self, scrapes: Scrapes<'_>, template: &Template) -> Series {
        let target = scrapes.target;
        let replica = u64::from(self.replica);
        let aligned = replica == 0 || target.seed.is_multiple_of(ALIGNED_TARGETS);
        let clock = mix(target.seed, if aligned { 0 } else { replica });
        let interval = self.options.interval_ms;
        let offset = (clock % interval as u64) as i64;
        let first = self.start_ms + offset;
        self.times.clear();
        self.times.extend((0..i64::from(self.options.samples)).map(|n| first + n * interval));
        // A late scrape keeps its place: the next one is on time again.
        let late_max = LATE_MS_MAX.min((interval - 1 - offset) as u64);
        for n in 0..self.times.len() / LATE_SCRAPES + 1 {
            let hash = mix(clock ^ u64::from(self.block) << 32, n as u64);
            let at = hash as usize % self.times.len();
            if n > 0 || hash >> 32 & 3 == 0 {
                self.times[at] =
                    first + at as i64 * interval + ((hash >> 40) % (late_max + 1)) as i64;
            }
        }
        let seed = mix(target.seed, template.seed);
        // A target exposes histograms of one kind; how floats are stored is the server's affair.
        let (encodings, salt) = match template.value {
            Value::Histogram => (&self.histograms, 0),
            Value::Float { .. } => (&self.floats, u64::from(self.block) << 32 | replica),
        };
        let choice = mix(seed ^ 0xE4C0, salt) as usize % encodings.len().max(1);
        Series {
            seed,
            encoding: encodings.get(choice).copied().unwrap_or(Encoding::Xor),
            started_ms: self.options.start_ms - (mix(target.seed, 99) % (30 * DAY_MS)) as i64,
            noise: mix(0, replica) * u64::from(replica > 0),
            phase: if aligned { 0.0 } else { unit(mix(clock, 7)) },
            stale: scrapes.last_of_target,
        }
    }

    fn write_floats(
        &mut self,
        builder: &mut BlockBuilder,
        series: Series,
        signal: &Signal,
    ) -> Result<(), GenerateError> {
        self.values.resize(self.times.len(), 0.0);
        signal.fill(self.first_scrape(), &mut self.values);
        if series.stale
            && let Some(last) = self.values.last_mut()
        {
            *last = f64::from_bits(STALE_NAN_BITS);
        }
        let started = if signal.is_counter() { series.started_ms } else { 0 };
        let times = self.times.chunks(SAMPLES_PER_CHUNK);
        for (times, values) in times.zip(self.values.chunks(SAMPLES_PER_CHUNK)) {
            self.appender.reset(series.encoding);
            if series.encoding.has_start_timestamps() && started != 0 {
                for (time, value) in times.iter().zip(values) {
                    self.appender.append_float(started, *time, *value)?;
                }
            } else {
                self.appender.append_floats(times, values)?;
            }
            put_chunk(builder, series.encoding, times, self.appender.bytes())?;
        }
        Ok(())
    }

    fn write_histograms(
        &mut self,
        builder: &mut BlockBuilder,
        series: Series,
    ) -> Result<(), GenerateError> {
        self.signal.reset(series.seed, series.noise);
        let first_scrape = self.first_scrape();
        let mut begin = 0;
        self.appender.reset(series.encoding);
        let mut has_previous = false;
        for at in 0..self.times.len() {
            if series.stale && at + 1 == self.times.len() {
                HistogramSignal::fill_stale(&mut self.histogram);
            } else {
                self.signal.fill(first_scrape + at as u64, &mut self.histogram);
            }
            if at - begin == SAMPLES_PER_CHUNK {
                let data = self.appender.bytes();
                put_chunk(builder, series.encoding, &self.times[begin..at], data)?;
                std::mem::swap(&mut self.appender, &mut self.previous);
                self.appender.reset(series.encoding);
                has_previous = true;
                begin = at;
            }
            let appended = self.append_histogram(&series, at, has_previous)?;
            if appended == HistogramAppend::NewChunk {
                let times = &self.times[begin..at];
                put_chunk(builder, series.encoding, times, self.appender.completed())?;
                begin = at;
            }
        }
        put_chunk(builder, series.encoding, &self.times[begin..], self.appender.bytes())
    }

    fn append_histogram(
        &mut self,
        series: &Series,
        at: usize,
        has_previous: bool,
    ) -> Result<HistogramAppend, GenerateError> {
        let (started, time) = (series.started_ms, self.times[at]);
        let previous = has_previous.then_some(&self.previous);
        if series.encoding.value_type() == ValueType::Histogram {
            let histogram = &self.histogram;
            Ok(self.appender.append_histogram(previous, started, time, histogram, false)?)
        } else {
            self.histogram.to_float(&mut self.float_histogram);
            let histogram = &self.float_histogram;
            Ok(self.appender.append_float_histogram(previous, started, time, histogram, false)?)
        }
    }

    /// Scrapes are counted from the first block on, so that signals go on.
    fn first_scrape(&self) -> u64 {
        u64::from(self.block) * u64::from(self.options.samples)
    }
}

fn put_chunk(
    builder: &mut BlockBuilder,
    encoding: Encoding,
    times: &[i64],
    data: &[u8],
) -> Result<(), GenerateError> {
    if let (Some(&min_time), Some(&max_time)) = (times.first(), times.last()) {
        let samples = times.len() as u64;
        builder.add_chunk(NewChunk { encoding, min_time, max_time, samples, data })?;
    }
    Ok(())
}
