//! Queries over blocks.

mod buckets;
mod heap;
mod lookup;
mod matcher;
mod pattern;
mod quote;
mod re2;
mod refs;
mod selector;

pub use buckets::{Bucket, buckets, float_buckets};
pub use matcher::{METRIC_NAME, MatchOp, Matcher};
pub use re2::{PatternError, PatternErrorKind};
pub use selector::{SelectorError, SelectorErrorKind, parse_selector};
