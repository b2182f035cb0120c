//! Queries over blocks and heads: series by matchers, label names and values, samples and chunks.
//!
//! ```text
//!  selector   up{job=~"api|web"}
//!     | selector, re2        PromQL's text, RE2's patterns
//!  matchers
//!     | lookup, refs         per block or head: which values match, their lists, set operations
//!  references
//!     | cursor, series_set   per block or head: series in label order; all merged by labels
//!  series
//!     | samples, raw_chunks  chunks decoded or lent, their checksums checked, tombstones applied
//!  samples
//! ```
//!
//! ```
//! use tsdb::block::{Block, list_blocks};
//! use tsdb::query::{Querier, Samples, TimeRange, parse_selector};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listed = list_blocks("../testdata/blocks/basic".as_ref())?.blocks;
//! let blocks: Vec<Block> = listed.iter().map(|b| Block::open(&b.dir)).collect::<Result<_, _>>()?;
//! let querier = Querier::new(&blocks);
//! let mut found = querier.select(&parse_selector("{__name__=~\".+\"}")?, TimeRange::ALL)?;
//! let mut samples = Samples::new();
//! let mut count = 0;
//! while let Some(series) = found.next()? {
//!     series.samples(&mut samples);
//!     while samples.next()?.is_some() {
//!         count += 1;
//!     }
//! }
//! assert!(count > 0);
//! # Ok(())
//! # }
//! ```
//!
//! Everything is read where it is mapped: strings and chunks are lent, and iterators are made once
//! and [reset](Series::samples) for each series, so that a scan does not allocate per series.
//!
//! Damage does not end a query. Whatever can't be read is named in a [`QueryError`], and the next
//! call goes on behind it; who wants all or nothing stops at the first error.

mod access;
mod buckets;
mod cursor;
mod error;
mod label_strings;
mod lookup;
mod matcher;
mod pattern;
mod querier;
mod range;
mod raw_chunks;
mod re2;
mod refs;
mod samples;
mod selector;
mod series_set;
#[cfg(test)]
mod tests;

pub use buckets::{Bucket, buckets, float_buckets};
pub use cursor::LabelPairs;
pub use error::QueryError;
pub use label_strings::LabelStrings;
pub(crate) use lookup::select as select_refs;
pub use matcher::{MatchOp, Matcher};
pub use querier::Querier;
pub use range::TimeRange;
pub use raw_chunks::{RawChunk, RawChunks};
pub use re2::{PatternError, PatternErrorKind};
pub(crate) use samples::{Chain, OpenChunk, Step, Stream};
pub use samples::{FloatRun, Samples};
pub use selector::{SelectorError, SelectorErrorKind, SelectorPart, parse_selector};
pub use series_set::{Series, SeriesSet};
pub use tsdb_format::chunkenc::{
    CounterResetHint, Encoding, FloatHistogram, Histogram, STALE_NAN_BITS, SparseHistogram,
    ValueType,
};
pub use tsdb_format::labels::{Labels, METRIC_NAME, is_plain_name, write_labels, write_quoted};
