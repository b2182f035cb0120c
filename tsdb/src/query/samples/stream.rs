//! What samples come from, pull by pull.

use tsdb_format::DecodeError;
use tsdb_format::chunkenc::{ChunkDecoder, Encoding, FloatSamples, ValueType, decode_floats};

use crate::head::HeadSeries;

/// What a pull brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// One float or more, in the columns that were handed in.
    Floats,
    /// A histogram, which stands in the stream's decoder.
    Histogram(ValueType),
    /// Nothing: the stream is at its end.
    End,
}

/// A source of samples in the order of time: a chunk, several that overlap, a series in a block.
///
/// Floats come many at a time, so that whoever wants the next one mostly finds it decoded.
pub(crate) trait Stream: Default {
    /// What the stream's bytes are in.
    type Context;
    /// Why a part of it could not be read.
    type Error;

    /// Goes on. `floats` is empty when this is called. What could not be read is put into
    /// `errors`, and left out.
    fn pull(
        &mut self,
        context: &Self::Context,
        floats: &mut FloatSamples,
        errors: &mut Vec<Self::Error>,
    ) -> Step;

    /// Lets the stream leave out what is known to end before `t`, unread.
    fn skip_before(&mut self, t: i64);

    /// Holds the current sample, if it is a histogram.
    fn decoder(&self) -> &ChunkDecoder;

    /// Whether the current histogram is known to follow the one before it.
    fn is_consecutive(&self) -> bool;
}

/// One chunk on its way into samples.
#[derive(Debug, Default)]
pub(crate) struct OpenChunk<'b> {
    /// Which of the series' chunks this is.
    id: usize,
    /// Its data, unless the series of the head has it.
    lent: Option<&'b [u8]>,
    /// `None` once there is nothing left to be read.
    encoding: Option<Encoding>,
    decoder: ChunkDecoder,
    broken: Option<DecodeError>,
}

impl<'b> OpenChunk<'b> {
    /// Opens chunk number `id`. Unless its bytes are lent they are those of `series`, now and at
    /// each pull.
    #[inline]
    pub(crate) fn open(
        &mut self,
        id: usize,
        encoding: Encoding,
        lent: Option<&'b [u8]>,
        series: &HeadSeries,
    ) {
        (self.id, self.lent, self.encoding, self.broken) = (id, lent, Some(encoding), None);
        if encoding.is_histogram() {
            let data = lent.unwrap_or_else(|| series.data(id));
            if let Err(error) = self.decoder.reset(encoding, data) {
                (self.encoding, self.broken) = (None, Some(error));
            }
        }
    }

    /// Forgets the chunk.
    pub(crate) fn close(&mut self) {
        (self.lent, self.encoding, self.broken) = (None, None, None);
    }
}

impl Stream for OpenChunk<'_> {
    type Context = HeadSeries;
    /// Which chunk it is, and what is wrong with it.
    type Error = (usize, DecodeError);

    #[inline]
    fn pull(
        &mut self,
        series: &HeadSeries,
        floats: &mut FloatSamples,
        errors: &mut Vec<Self::Error>,
    ) -> Step {
        if let Some(encoding) = self.encoding {
            let data = self.lent.unwrap_or_else(|| series.data(self.id));
            if encoding.is_histogram() {
                match self.decoder.next(data) {
                    Ok(Some(value_type)) => return Step::Histogram(value_type),
                    Ok(None) => {}
                    Err(error) => self.broken = Some(error),
                }
                self.encoding = None;
            } else {
                self.encoding = None;
                // What is in front of a broken sample is good.
                self.broken = decode_floats(encoding, data, floats).err();
                if !floats.is_empty() {
                    return Step::Floats;
                }
            }
        }
        errors.extend(self.broken.take().map(|error| (self.id, error)));
        Step::End
    }

    fn skip_before(&mut self, _: i64) {}

    fn decoder(&self) -> &ChunkDecoder {
        &self.decoder
    }

    fn is_consecutive(&self) -> bool {
        true
    }
}
