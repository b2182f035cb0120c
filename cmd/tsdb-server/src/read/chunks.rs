//! The chunks of a series, such that none overlaps another, holds deleted samples, or reaches out of
//! the range.
//!
//! ```text
//!   in blocks and head    [----]   [------]            [-----x--]  x deleted
//!                                     [-----]  [----]
//!   sent                  as it is  encoded    as it    encoded
//!                                   anew       is       anew
//! ```

use tsdb::query::{Encoding, RawChunks, Samples, Series, TimeRange};

use super::error::ReadError;
use super::recode::{Recoded, Recoder};

/// Goes through the chunks of one series after the other; its memory is used again.
pub(super) struct SeriesChunks<'b> {
    raw: RawChunks<'b>,
    samples: Samples<'b>,
    recoder: Recoder,
    held: Held,
}

/// Chunks that overlap, or a single one, held back until it is known that none follows that overlaps.
#[derive(Debug)]
struct Held {
    is_there: bool,
    /// Whether it can go out as it is.
    is_clean: bool,
    min_time: i64,
    max_time: i64,
    encoding: Encoding,
    data: Vec<u8>,
}

impl<'b> SeriesChunks<'b> {
    pub(super) fn new() -> Self {
        Self {
            raw: RawChunks::new(),
            samples: Samples::new(),
            recoder: Recoder::new(),
            held: Held {
                is_there: false,
                is_clean: true,
                min_time: 0,
                max_time: 0,
                encoding: Encoding::Xor,
                data: Vec::new(),
            },
        }
    }

    /// Calls `each` with the chunks of `series` in `range`, by time.
    ///
    /// # Errors
    /// Something can't be read.
    pub(super) fn for_each(
        &mut self,
        series: &Series<'_, 'b>,
        range: TimeRange,
        mut each: impl FnMut(Recoded<'_>),
    ) -> Result<(), ReadError> {
        let Self { raw, samples, recoder, held } = self;
        series.raw_chunks(raw);
        held.is_there = false;
        let mut has_samples = false;
        let mut release = |held: &mut Held| -> Result<(), ReadError> {
            if !std::mem::take(&mut held.is_there) {
                return Ok(());
            }
            if held.is_clean {
                each(held.as_is());
                return Ok(());
            }
            if !std::mem::replace(&mut has_samples, true) {
                series.samples(samples);
            }
            recode(samples, (held.min_time, held.max_time), recoder, &mut each)
        };
        while let Some(chunk) = raw.next()? {
            let is_clean = chunk.deleted.is_empty()
                && range.contains(chunk.min_time)
                && range.contains(chunk.max_time);
            if held.is_there && chunk.min_time <= held.max_time {
                held.max_time = held.max_time.max(chunk.max_time);
                held.is_clean = false;
                continue;
            }
            release(held)?;
            held.is_there = true;
            held.is_clean = is_clean;
            (held.min_time, held.max_time) = (chunk.min_time, chunk.max_time);
            held.encoding = chunk.encoding;
            held.data.clear();
            held.data.extend_from_slice(chunk.data);
        }
        release(held)
    }
}

impl Held {
    fn as_is(&self) -> Recoded<'_> {
        let (min_time, max_time) = (self.min_time, self.max_time);
        Recoded { encoding: self.encoding, min_time, max_time, data: &self.data }
    }
}

/// Encodes the samples from `min_time` to `max_time`, both inclusive.
fn recode(
    samples: &mut Samples<'_>,
    (min_time, max_time): (i64, i64),
    recoder: &mut Recoder,
    each: &mut impl FnMut(Recoded<'_>),
) -> Result<(), ReadError> {
    let mut found = samples.seek(min_time)?;
    while found.is_some() && samples.timestamp() <= max_time {
        recoder.push(samples, each)?;
        found = samples.next()?;
    }
    recoder.close(each);
    Ok(())
}
