//! Records: what the write-ahead log, the write-behind log and checkpoints are made of.
//!
//! ```text
//! | type 1 | content |
//!
//!  1 series                     series          | ref 8 | labels | ...
//!  2 samples                    samples         | base | delta | value 8 | ...
//!  3 tombstones                 tombstones      | ref 8 | min <varint> | max <varint> | ...
//!  4 exemplars                  exemplars       | base | delta | value 8 | labels | ...
//!  5 mmap markers (WBL)         mmap_markers    | ref 8 | chunk ref 8 | ...
//!  6 metadata                   metadata        | ref <uvarint> | type 1 | fields | ...
//!  7 histograms                 histograms      | base | delta | histogram | ...
//!  8 float histograms           histograms      likewise
//!  9 custom histograms          histograms      as 7, of schema -53
//! 10 custom float histograms    histograms      as 8, of schema -53
//! 11 samples, version 2         samples         | first | value 8 | later | value 8 | ...
//! 12 histograms, version 2      histograms      | first | histogram | later | histogram | ...
//! 13 float histograms, 2        histograms      likewise
//!
//! labels                        labels          | count <uvarint> | name | value | ...
//! base, delta; first, later     sample_id       which series, and when
//! histogram                     histogram       a histogram of any schema
//! ```
//!
//! Numbers without `<...>` are big-endian, of that many bytes. A record has no length and no
//! checksum of its own: pages do (`wal`). An empty list is a record of one byte.
//!
//! [`Record::decode`] tells the type and returns an iterator; it allocates nothing, and neither do
//! the iterators, but for the caller's histogram, which holds at most 32 bytes for each byte of
//! the record. The `encode_*` functions append to a buffer what 3.15's encoder writes, byte for
//! byte.
//!
//! Source: Prometheus 3.15, `tsdb/record`, and its format page `wal.md`, which lacks types 5 and 11
//! to 13, calls signed deltas unsigned, and does not say that a histogram record skips custom
//! buckets but keeps the first one's base.
//!
//! ```
//! use tsdb_format::record::{FloatSample, Record, SampleId, SampleVersion, encode_samples};
//!
//! let sample = FloatSample { id: SampleId::new(7, 1_000), value: 1.5 };
//! let mut bytes = Vec::new();
//! encode_samples(&mut bytes, SampleVersion::V1, [sample]);
//!
//! let Record::Samples(samples) = Record::decode(&bytes)? else { unreachable!() };
//! assert_eq!(samples.collect::<Result<Vec<_>, _>>()?, [sample]);
//! # Ok::<(), tsdb_format::DecodeError>(())
//! ```

mod cursor;
mod exemplars;
mod histogram;
mod histograms;
mod labels;
mod metadata;
mod mmap_markers;
mod record_type;
mod refs;
mod sample_id;
mod samples;
mod series;
mod tombstones;

pub use exemplars::{Exemplar, Exemplars, encode_exemplars};
pub use histograms::{FloatHistograms, Histograms, encode_float_histograms, encode_histograms};
pub use labels::{LabelPairs, LabelPairsIter};
pub use metadata::{Metadata, MetadataEntry, MetricType, encode_metadata};
pub use mmap_markers::{MmapMarker, MmapMarkers, encode_mmap_markers};
pub use record_type::RecordType;
pub use refs::{HeadChunkRef, HeadSeriesRef};
pub use sample_id::{SampleId, SampleVersion};
pub use samples::{FloatSample, Samples, encode_samples};
pub use series::{Series, SeriesEntry, SeriesWriter, encode_series};
pub use tombstones::{Tombstone, Tombstones, encode_tombstones};

use crate::DecodeError;
use cursor::Cursor;

/// A record, told by its type, ready to be read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Record<'a> {
    /// What series are called.
    Series(Series<'a>),
    /// Float samples, of either version.
    Samples(Samples<'a>),
    /// Deleted intervals.
    Tombstones(Tombstones<'a>),
    /// Exemplars.
    Exemplars(Exemplars<'a>),
    /// Out-of-order chunks that became mapped ones.
    MmapMarkers(MmapMarkers<'a>),
    /// Type, unit and help of series.
    Metadata(Metadata<'a>),
    /// Histograms with integer counts, of either version and with any buckets.
    Histograms(Histograms<'a>),
    /// Histograms with float counts, likewise.
    FloatHistograms(FloatHistograms<'a>),
    /// A type that this crate does not know, or `None` for a record without a byte. Prometheus
    /// passes over both.
    Unknown(Option<u8>),
}

impl<'a> Record<'a> {
    /// Tells a record's type and begins to read it.
    ///
    /// # Errors
    /// When the base of the samples is cut off. What else is wrong is met by the iterators; offsets
    /// count from the start of `record`, the type's byte included.
    pub fn decode(record: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&byte, _)) = record.split_first() else { return Ok(Self::Unknown(None)) };
        let Some(record_type) = RecordType::from_byte(byte) else {
            return Ok(Self::Unknown(Some(byte)));
        };
        let content = Cursor::behind_type(record);
        Ok(match record_type {
            RecordType::Series => Self::Series(Series::new(content)),
            RecordType::Samples => Self::Samples(Samples::new(content, SampleVersion::V1)?),
            RecordType::SamplesV2 => Self::Samples(Samples::new(content, SampleVersion::V2)?),
            RecordType::Tombstones => Self::Tombstones(Tombstones::new(content)),
            RecordType::Exemplars => Self::Exemplars(Exemplars::new(content)?),
            RecordType::MmapMarkers => Self::MmapMarkers(MmapMarkers::new(content)),
            RecordType::Metadata => Self::Metadata(Metadata::new(content)),
            RecordType::Histograms | RecordType::CustomHistograms => {
                Self::Histograms(Histograms::new(content, SampleVersion::V1)?)
            }
            RecordType::HistogramsV2 => {
                Self::Histograms(Histograms::new(content, SampleVersion::V2)?)
            }
            RecordType::FloatHistograms | RecordType::CustomFloatHistograms => {
                Self::FloatHistograms(FloatHistograms::new(content, SampleVersion::V1)?)
            }
            RecordType::FloatHistogramsV2 => {
                Self::FloatHistograms(FloatHistograms::new(content, SampleVersion::V2)?)
            }
        })
    }
}

#[cfg(test)]
mod tests;
