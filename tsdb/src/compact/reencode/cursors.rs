//! Cursors over the chunks of a group.
//!
//! A group can hold thousands of chunks, few of which overlap at any one time. A chunk is opened
//! when its turn comes: until then its first timestamp is what the index says. A float chunk is
//! decoded whole when it is opened, a histogram chunk sample by sample.

use tsdb_format::chunkenc::{ChunkDecoder, FloatSamples, decode_floats, num_samples};

use super::digest;
use super::{ChunkInput, ReencodeError};

/// The samples of a float chunk, and the current one among them.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) samples: FloatSamples,
    pub(super) at: usize,
    /// Whether each timestamp is greater than the one before it, and no sample has a start
    /// timestamp.
    pub(super) is_plain: bool,
}

/// What stands behind a cursor: an index into the buffers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// Not decoded yet.
    Unopened,
    Floats(usize),
    Histograms(usize),
    /// Behind the last sample.
    Finished,
}

/// Why a step failed.
#[derive(Debug)]
pub(super) enum CursorError {
    /// A chunk's first sample is not at its `min_time`: chunks can't be opened late.
    FirstTime,
    Reencode(ReencodeError),
}

impl From<ReencodeError> for CursorError {
    fn from(error: ReencodeError) -> Self {
        Self::Reencode(error)
    }
}

/// One cursor a chunk, numbered as the inputs.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// The timestamp of each cursor's current sample; before it is opened, its `min_time`.
    pub(super) times: Vec<i64>,
    pub(super) sources: Vec<Source>,
    pub(super) runs: Vec<Run>,
    free_runs: Vec<usize>,
    pub(super) decoders: Vec<ChunkDecoder>,
    free_decoders: Vec<usize>,
    /// How many chunks are open.
    open: usize,
    /// Whether each chunk begins later than the one before it.
    starts_increase: bool,
}

impl Cursors {
    /// One unopened cursor for each input.
    pub(super) fn reset(&mut self, inputs: &[ChunkInput<'_>]) {
        self.times.clear();
        self.times.extend(inputs.iter().map(|input| input.min_time));
        self.sources.clear();
        self.sources.resize(inputs.len(), Source::Unopened);
        self.free_runs.clear();
        self.free_runs.extend(0..self.runs.len());
        self.free_decoders.clear();
        self.free_decoders.extend(0..self.decoders.len());
        self.open = 0;
        self.starts_increase = self.times.windows(2).all(|pair| pair[0] < pair[1]);
    }

    /// Whether exactly two chunks are open.
    pub(super) fn two_open(&self) -> bool {
        self.open == 2
    }

    /// Whether no two chunks of the group begin at the same time.
    pub(super) fn starts_increase(&self) -> bool {
        self.starts_increase
    }

    /// The number of the run behind a cursor, if it is open, in order and without start timestamps.
    #[inline]
    pub(super) fn plain_run(&self, id: usize) -> Option<usize> {
        match self.sources[id] {
            Source::Floats(run) if self.runs[run].is_plain => Some(run),
            _ => None,
        }
    }

    /// Puts a cursor in front of the chain: whether it has samples. With `late` it stays closed.
    pub(super) fn admit(
        &mut self,
        id: usize,
        input: &ChunkInput<'_>,
        late: bool,
    ) -> Result<bool, CursorError> {
        let samples = num_samples(input.encoding, input.data)
            .map_err(|source| ReencodeError::Decode { input: id, source })?;
        if samples == 0 {
            self.sources[id] = Source::Finished;
            return Ok(false);
        }
        if late { Ok(true) } else { self.open(id, input) }
    }

    /// Opens a cursor that the heap gave out, if it isn't yet. Its time must not change by that.
    pub(super) fn ensure_open(
        &mut self,
        id: usize,
        input: &ChunkInput<'_>,
    ) -> Result<(), CursorError> {
        if matches!(self.sources[id], Source::Unopened) {
            self.open(id, input)?;
            if self.times[id] != input.min_time {
                return Err(CursorError::FirstTime);
            }
        }
        Ok(())
    }

    /// Goes to the next sample (opening the chunk for its first): `false` behind the last one.
    #[inline]
    pub(super) fn advance(
        &mut self,
        id: usize,
        input: &ChunkInput<'_>,
    ) -> Result<bool, CursorError> {
        match self.sources[id] {
            Source::Unopened => self.open(id, input),
            Source::Finished => Ok(false),
            Source::Floats(run) => {
                let Run { samples, at, .. } = &mut self.runs[run];
                *at += 1;
                if let Some(&t) = samples.timestamps.get(*at) {
                    self.times[id] = t;
                    return Ok(true);
                }
                self.free_runs.push(run);
                self.finish(id);
                Ok(false)
            }
            Source::Histograms(decoder) => self.decode_next(id, decoder, input),
        }
    }

    fn open(&mut self, id: usize, input: &ChunkInput<'_>) -> Result<bool, CursorError> {
        let broken = |source| ReencodeError::Decode { input: id, source };
        if input.encoding.is_histogram() {
            let decoder = self.free_decoders.pop().unwrap_or_else(|| {
                self.decoders.push(ChunkDecoder::new());
                self.decoders.len() - 1
            });
            self.sources[id] = Source::Histograms(decoder);
            self.open += 1;
            self.decoders[decoder].reset(input.encoding, input.data).map_err(broken)?;
            return self.decode_next(id, decoder, input);
        }
        let free = self.free_runs.pop().unwrap_or_else(|| {
            self.runs.push(Run::default());
            self.runs.len() - 1
        });
        let run = &mut self.runs[free];
        run.samples.clear();
        decode_floats(input.encoding, input.data, &mut run.samples).map_err(broken)?;
        run.at = 0;
        run.is_plain = run.samples.start_timestamps.is_empty()
            && run.samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]);
        let first = run.samples.timestamps.first().copied();
        match first {
            Some(t) => {
                self.times[id] = t;
                self.sources[id] = Source::Floats(free);
                self.open += 1;
            }
            None => {
                self.free_runs.push(free);
                self.sources[id] = Source::Finished;
            }
        }
        Ok(first.is_some())
    }

    fn decode_next(
        &mut self,
        id: usize,
        decoder: usize,
        input: &ChunkInput<'_>,
    ) -> Result<bool, CursorError> {
        let next = self.decoders[decoder].next(input.data);
        if next.map_err(|source| ReencodeError::Decode { input: id, source })?.is_some() {
            self.times[id] = self.decoders[decoder].timestamp();
            return Ok(true);
        }
        self.free_decoders.push(decoder);
        self.finish(id);
        Ok(false)
    }

    fn finish(&mut self, id: usize) {
        self.sources[id] = Source::Finished;
        self.open -= 1;
    }

    /// The digest of a cursor's current sample.
    #[inline]
    pub(super) fn digest(&self, id: usize) -> u64 {
        match self.sources[id] {
            Source::Floats(run) => {
                let Run { samples, at, .. } = &self.runs[run];
                let st = samples.start_timestamp(*at);
                digest::of_float(st, samples.timestamps[*at], samples.values[*at])
            }
            Source::Histograms(decoder) => digest::of_current(&self.decoders[decoder]),
            Source::Unopened | Source::Finished => 0,
        }
    }
}
