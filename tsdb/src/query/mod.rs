//! Queries over blocks.

mod buckets;
mod lookup;
mod matcher;
mod pattern;
mod re2;
mod refs;
mod selector;

pub use buckets::{Bucket, buckets, float_buckets};
pub use matcher::{MatchOp, Matcher};
pub use re2::{PatternError, PatternErrorKind};
pub use selector::{SelectorError, SelectorErrorKind, parse_selector};
