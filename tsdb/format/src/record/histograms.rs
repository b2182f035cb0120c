//! Types 7 to 10, 12 and 13: histograms.
//!
//! ```text
//! | 7 to 10  | base | delta | histogram | delta | histogram | ...
//! | 12, 13   | first | histogram | later | histogram | ...
//! ```
//!
//! `base` to `later`: see `sample_id`; the histogram: see `histogram`. In version 1 a list becomes
//! up to two records, the second one for custom buckets, so that a Prometheus without these can
//! read the first; the base of the first is that of the whole list, custom or not.

use super::cursor::Cursor;
use super::histogram::{self, Counts};
use super::sample_id::{IdDecoder, IdEncoder};
use super::{RecordType, SampleId, SampleVersion};
use crate::chunkenc::{
    FloatCounts, FloatHistogram, Histogram, IntCounts, SparseHistogram, is_known_schema,
    reduce_resolution, resolution_is_too_high,
};
use crate::{DecodeError, Rule};

/// The histograms of a record with integer counts.
///
/// Schemas from 9 to 52 are reduced to 8; histograms of other unknown schemas are passed over and
/// counted, as in 3.15.
#[derive(Debug, Clone)]
pub struct Histograms<'a>(Reader<'a, IntCounts>);

impl<'a> Histograms<'a> {
    pub(super) fn new(cursor: Cursor<'a>, version: SampleVersion) -> Result<Self, DecodeError> {
        Reader::new(cursor, version).map(Self)
    }

    /// Reads one more histogram into `into`, whose memory is reused; `None` at the end, where
    /// `into` holds nothing of use.
    ///
    /// # Errors
    /// When the record breaks the format; it ends there.
    pub fn next(&mut self, into: &mut Histogram) -> Result<Option<SampleId>, DecodeError> {
        self.0.next(into)
    }

    /// How many histograms were passed over so far because of their schema.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.0.skipped
    }
}

/// The histograms of a record with float counts; otherwise as [`Histograms`].
#[derive(Debug, Clone)]
pub struct FloatHistograms<'a>(Reader<'a, FloatCounts>);

impl<'a> FloatHistograms<'a> {
    pub(super) fn new(cursor: Cursor<'a>, version: SampleVersion) -> Result<Self, DecodeError> {
        Reader::new(cursor, version).map(Self)
    }

    /// Reads one more histogram into `into`, whose memory is reused; `None` at the end, where
    /// `into` holds nothing of use.
    ///
    /// # Errors
    /// When the record breaks the format; it ends there.
    pub fn next(&mut self, into: &mut FloatHistogram) -> Result<Option<SampleId>, DecodeError> {
        self.0.next(into)
    }

    /// How many histograms were passed over so far because of their schema.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.0.skipped
    }
}

/// Appends records of histograms with integer counts: to `record` those with exponential buckets,
/// and in version 2 all; to `custom` those with custom buckets. As in 3.15, `record` gets one of
/// no histograms if there are none at all, and neither gets one otherwise.
pub fn encode_histograms<'h>(
    record: &mut Vec<u8>,
    custom: &mut Vec<u8>,
    version: SampleVersion,
    histograms: impl IntoIterator<Item = (SampleId, &'h Histogram)>,
) {
    let types = match version {
        SampleVersion::V1 => (RecordType::Histograms, RecordType::CustomHistograms),
        SampleVersion::V2 => (RecordType::HistogramsV2, RecordType::HistogramsV2),
    };
    encode::<IntCounts>(record, custom, version, types, histograms);
}

/// As [`encode_histograms`], with float counts.
pub fn encode_float_histograms<'h>(
    record: &mut Vec<u8>,
    custom: &mut Vec<u8>,
    version: SampleVersion,
    histograms: impl IntoIterator<Item = (SampleId, &'h FloatHistogram)>,
) {
    let types = match version {
        SampleVersion::V1 => (RecordType::FloatHistograms, RecordType::CustomFloatHistograms),
        SampleVersion::V2 => (RecordType::FloatHistogramsV2, RecordType::FloatHistogramsV2),
    };
    encode::<FloatCounts>(record, custom, version, types, histograms);
}

fn encode<'h, K: Counts>(
    record: &mut Vec<u8>,
    custom: &mut Vec<u8>,
    version: SampleVersion,
    (record_type, custom_type): (RecordType, RecordType),
    histograms: impl IntoIterator<Item = (SampleId, &'h SparseHistogram<K::Count, K::Bucket>)>,
) where
    K::Count: 'h,
    K::Bucket: 'h,
{
    let start = record.len();
    record.push(record_type.byte());
    let (mut ids, mut custom_ids) = (IdEncoder::new(version), None);
    let mut is_written = false;
    for (id, histogram) in histograms {
        if version == SampleVersion::V1 && histogram.uses_custom_buckets() {
            ids.see(record, id);
            let ids = custom_ids.get_or_insert_with(|| {
                custom.push(custom_type.byte());
                IdEncoder::new(version)
            });
            ids.put(custom, id);
            histogram::put::<K>(custom, histogram);
        } else {
            ids.put(record, id);
            histogram::put::<K>(record, histogram);
            is_written = true;
        }
    }
    if custom_ids.is_some() && !is_written {
        record.truncate(start);
    }
}

#[derive(Debug, Clone)]
struct Reader<'a, K: Counts> {
    cursor: Cursor<'a>,
    ids: IdDecoder,
    /// A histogram at a resolution that is too high.
    fine: SparseHistogram<K::Count, K::Bucket>,
    skipped: u64,
}

impl<'a, K: Counts> Reader<'a, K> {
    fn new(mut cursor: Cursor<'a>, version: SampleVersion) -> Result<Self, DecodeError> {
        let ids = IdDecoder::new(&mut cursor, version)?;
        Ok(Self { cursor, ids, fine: SparseHistogram::default(), skipped: 0 })
    }

    fn next(
        &mut self,
        into: &mut SparseHistogram<K::Count, K::Bucket>,
    ) -> Result<Option<SampleId>, DecodeError> {
        while !self.cursor.is_at_end() {
            match self.read(into) {
                Ok(Some(id)) => return Ok(Some(id)),
                Ok(None) => self.skipped += 1,
                Err(error) => {
                    self.cursor.finish();
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// `None` for a histogram of an unknown schema.
    fn read(
        &mut self,
        into: &mut SparseHistogram<K::Count, K::Bucket>,
    ) -> Result<Option<SampleId>, DecodeError> {
        let id = self.ids.read(&mut self.cursor)?;
        histogram::read::<K>(&mut self.cursor, into)?;
        if !is_known_schema(into.schema.into()) {
            return Ok(None);
        }
        if resolution_is_too_high(into.schema) {
            std::mem::swap(into, &mut self.fine);
            if !reduce_resolution::<K>(&self.fine, into) {
                return Err(self.cursor.malformed(Rule::SpanOffset));
            }
        }
        Ok(Some(id))
    }
}
