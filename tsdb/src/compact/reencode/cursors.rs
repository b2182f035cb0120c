//! Cursors over the chunks of a group.
//!
//! A group can hold thousands of chunks, few of which overlap at any one time. A chunk is opened
//! when its turn comes: until then its first timestamp is what the index says. A float chunk is
//! decoded whole when it is opened, a histogram chunk sample by sample.

use tsdb_format::chunkenc::{ChunkDecoder, FloatSamples, decode_floats};

use super::ReencodeError;
use super::digest;
use super::inputs::Inputs;

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

/// Past this many cursors, vectors take what they need and no more.
pub(super) const EXACT_ABOVE: usize = 16 << 10;

/// A [`Source`] in four bytes: a long series has many cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u32);

impl State {
    const UNOPENED: Self = Self(0);
    const FINISHED: Self = Self(1);

    #[inline(always)]
    fn floats(run: usize) -> Self {
        Self(2 + 2 * run as u32)
    }

    #[inline(always)]
    fn histograms(decoder: usize) -> Self {
        Self(3 + 2 * decoder as u32)
    }

    #[inline(always)]
    fn source(self) -> Source {
        match self.0 {
            0 => Source::Unopened,
            1 => Source::Finished,
            state if state.is_multiple_of(2) => Source::Floats((state as usize - 2) / 2),
            state => Source::Histograms((state as usize - 3) / 2),
        }
    }
}

/// Why a step failed.
#[derive(Debug)]
pub(in crate::compact) enum CursorError<E> {
    /// This chunk's first sample is not at its `min_time`: chunks can't be opened late.
    FirstTime(usize),
    Reencode(ReencodeError),
    /// A chunk could not be brought.
    Input(E),
}

impl<E> From<ReencodeError> for CursorError<E> {
    fn from(error: ReencodeError) -> Self {
        Self::Reencode(error)
    }
}

/// One cursor a chunk, numbered as the inputs.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    /// The timestamp of each cursor's current sample; before it is opened, its `min_time`.
    pub(super) times: Vec<i64>,
    states: Vec<State>,
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
    pub(super) fn reset<I: Inputs>(&mut self, inputs: &mut I) {
        inputs.take_starts(&mut self.times);
        self.states.clear();
        if self.times.len() > EXACT_ABOVE {
            self.states.reserve_exact(self.times.len());
        }
        self.states.resize(self.times.len(), State::UNOPENED);
        self.free_runs.clear();
        self.free_runs.extend(0..self.runs.len());
        self.free_decoders.clear();
        self.free_decoders.extend(0..self.decoders.len());
        self.open = 0;
        self.starts_increase = self.times.windows(2).all(|pair| pair[0] < pair[1]);
    }

    /// How many cursors there are.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// What stands behind a cursor.
    #[inline(always)]
    pub(super) fn source(&self, id: usize) -> Source {
        self.states[id].source()
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
        match self.source(id) {
            Source::Floats(run) if self.runs[run].is_plain => Some(run),
            _ => None,
        }
    }

    /// Puts a cursor in front of the chain: whether it has samples. With `late` it stays closed.
    pub(super) fn admit<I: Inputs>(
        &mut self,
        id: usize,
        inputs: &mut I,
        late: bool,
    ) -> Result<bool, CursorError<I::Error>> {
        let has_samples =
            inputs.has_samples(id).map_err(|source| ReencodeError::Decode { input: id, source })?;
        if !has_samples {
            self.states[id] = State::FINISHED;
            return Ok(false);
        }
        if late { Ok(true) } else { self.open(id, inputs) }
    }

    /// Opens a cursor that the heap gave out, if it isn't yet. Its time must not change by that.
    pub(super) fn ensure_open<I: Inputs>(
        &mut self,
        id: usize,
        inputs: &mut I,
    ) -> Result<bool, CursorError<I::Error>> {
        if self.states[id] != State::UNOPENED {
            return Ok(false);
        }
        let listed = self.times[id];
        if !self.open(id, inputs)? || self.times[id] != listed {
            return Err(CursorError::FirstTime(id));
        }
        Ok(true)
    }

    /// Goes to the next sample (opening the chunk for its first): `false` behind the last one.
    #[inline]
    pub(super) fn advance<I: Inputs>(
        &mut self,
        id: usize,
        inputs: &mut I,
    ) -> Result<bool, CursorError<I::Error>> {
        match self.source(id) {
            Source::Unopened => self.open(id, inputs),
            Source::Finished => Ok(false),
            Source::Floats(run) => {
                let Run { samples, at, .. } = &mut self.runs[run];
                *at += 1;
                if let Some(&t) = samples.timestamps.get(*at) {
                    self.times[id] = t;
                    return Ok(true);
                }
                self.free_runs.push(run);
                inputs.release(id);
                self.finish(id);
                Ok(false)
            }
            Source::Histograms(decoder) => self.decode_next(id, decoder, inputs),
        }
    }

    fn open<I: Inputs>(
        &mut self,
        id: usize,
        inputs: &mut I,
    ) -> Result<bool, CursorError<I::Error>> {
        let broken = |source| ReencodeError::Decode { input: id, source };
        inputs.bring(id).map_err(CursorError::Input)?;
        let (encoding, data) = inputs.chunk(id);
        if encoding.is_histogram() {
            let decoder = self.free_decoders.pop().unwrap_or_else(|| {
                self.decoders.push(ChunkDecoder::new());
                self.decoders.len() - 1
            });
            self.states[id] = State::histograms(decoder);
            self.open += 1;
            self.decoders[decoder].reset(encoding, data).map_err(broken)?;
            return self.decode_next(id, decoder, inputs);
        }
        let free = self.free_runs.pop().unwrap_or_else(|| {
            self.runs.push(Run::default());
            self.runs.len() - 1
        });
        let run = &mut self.runs[free];
        run.samples.clear();
        decode_floats(encoding, data, &mut run.samples).map_err(broken)?;
        run.at = 0;
        run.is_plain = run.samples.start_timestamps.is_empty()
            && run.samples.timestamps.windows(2).all(|pair| pair[0] < pair[1]);
        let first = run.samples.timestamps.first().copied();
        match first {
            Some(t) => {
                self.times[id] = t;
                self.states[id] = State::floats(free);
                self.open += 1;
            }
            None => {
                self.free_runs.push(free);
                self.states[id] = State::FINISHED;
            }
        }
        Ok(first.is_some())
    }

    fn decode_next<I: Inputs>(
        &mut self,
        id: usize,
        decoder: usize,
        inputs: &mut I,
    ) -> Result<bool, CursorError<I::Error>> {
        let next = self.decoders[decoder].next(inputs.chunk(id).1);
        if next.map_err(|source| ReencodeError::Decode { input: id, source })?.is_some() {
            self.times[id] = self.decoders[decoder].timestamp();
            return Ok(true);
        }
        self.free_decoders.push(decoder);
        inputs.release(id);
        self.finish(id);
        Ok(false)
    }

    fn finish(&mut self, id: usize) {
        self.states[id] = State::FINISHED;
        self.open -= 1;
    }

    /// The digest of a cursor's current sample.
    #[inline]
    pub(super) fn digest(&self, id: usize) -> u64 {
        match self.source(id) {
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
