//! RE2 patterns, as Prometheus writes them in `=~` and `!~`, made into Rust's regular expressions.
//!
//! ```text
//!  pattern (RE2)  --parse-->  Hir  --print-->  pattern (Rust)  --compile-->  regex::Regex
//!                              |
//!                              +-- literals, prefix: what an index can answer without a scan
//! ```
//!
//! Both languages are regular and nearly alike, but not quite, and a query that silently selects
//! other series than Prometheus does is worse than one that is refused. So the pattern is read by
//! RE2's grammar, not by Rust's:
//!
//! | | RE2 | Rust |
//! |---|---|---|
//! | `\d \w \s \b` | ASCII; `\s` has no vertical tab | Unicode |
//! | `\Q..\E`, `\012`, `\_` | literals | refused |
//! | `[a&&b]`, `[a--b]`, `[[a]]` | literal characters | set operations, nesting |
//! | `a**`, `a{1001}`, `\pGreek` | refused | accepted or other meaning |
//! | `{,3}` | literal | a repetition |
//! | `(?x)`, `(?u)`, `(?R)`, `\<` | refused | accepted |
//!
//! Greediness never matters here: a matcher asks whether the whole value matches, so `*?` and
//! `(?U)` are read and forgotten, as are groups' names (once checked).
//!
//! What remains:
//! - The Unicode tables are those of the `regex` crate, newer than Go's.
//! - A pattern nested more than [`HEIGHT_MAX`] levels deep is refused, where Go's limit is 1000.
//! - Prometheus has shortcuts for small sets of values that do not always agree with its own
//!   engine: its `(?i)[[:ascii:]]` matches U+00A0, its `(?i:k)(?s)|a` matches `A`. Ours do not.
//! - A surrogate, as in `\x{d800}`, matches nothing; Prometheus may take it for U+FFFD.
//!
//! Source: the RE2 syntax page (<https://github.com/google/re2/wiki/Syntax>), and Go's
//! `regexp/syntax` package documentation.

mod bracket;
mod class;
mod error;
mod escape;
mod names;
mod parser;

pub use error::{PatternError, PatternErrorKind};
pub(crate) use parser::parse;

/// How deep repetitions, alternations and concatenations may nest.
pub(crate) const HEIGHT_MAX: u32 = 200;
