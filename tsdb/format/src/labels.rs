//! Label sets: what a series is called.
//!
//! ```text
//! {__name__="up", instance="a:9090", "not a plain name"="x"}
//! ```
//!
//! Sorted by name, each name once. Compared as Prometheus compares them: pair by pair, bytes as
//! unsigned numbers, a shorter set in front of a longer one that it begins.
//!
//! ```
//! use tsdb_format::labels::Labels;
//!
//! let labels: Labels = [("job", "api"), ("__name__", "up")].into_iter().collect();
//! assert_eq!(labels.get("job"), Some("api"));
//! assert_eq!(labels.to_string(), r#"{__name__="up", job="api"}"#);
//! ```

use std::cmp::Ordering;
use std::fmt;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A set of labels that owns its strings; pairs of name and value, sorted by name.
///
/// ```
/// use tsdb_format::labels::Labels;
///
/// let labels: Labels = [("job", "node"), ("__name__", "up")].into_iter().collect();
/// assert_eq!(labels.to_string(), r#"{__name__="up", job="node"}"#);
/// assert_eq!(labels.get("job"), Some("node"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Names and values, one behind the other: a set is two pieces of memory, however many labels it
    /// has.
    text: String,
    /// Where each of them ends.
    ends: Vec<u32>,
}

impl Labels {
    /// The value of label `name`, if the set has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The pairs of name and value, by name.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let mut begin = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let mut next = |end: Option<&u32>| {
                let end = end.map_or(begin, |end| *end as usize);
                self.text.get(std::mem::replace(&mut begin, end)..end).unwrap_or_default()
            };
            (next(ends.first()), next(ends.last()))
        })
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Makes the set equal to `pairs`, which are sorted by name already; keeps its memory.
    ///
    /// # Panics
    /// If the strings have more than 4 GiB in all.
    pub fn assign_sorted<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.text.clear();
        self.ends.clear();
        for (name, value) in pairs {
            self.push(name);
            self.push(value);
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        let end = u32::try_from(self.text.len());
        self.ends.push(end.expect("labels have less than 4 GiB"));
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Sorts; of equal names the last one stays.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        pairs.reverse();
        pairs.dedup_by(|a, b| a.0.as_ref() == b.0.as_ref());
        let mut labels = Self::default();
        labels
            .assign_sorted(pairs.iter().rev().map(|(name, value)| (name.as_ref(), value.as_ref())));
        labels.text.shrink_to_fit();
        labels
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(f, self.iter())
    }
}

/// Writes pairs of name and value as Prometheus prints a label set.
///
/// # Errors
/// Those of `out`.
pub fn write_labels<'a>(
    out: &mut impl fmt::Write,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> fmt::Result {
    out.write_char('{')?;
    for (position, (name, value)) in pairs.into_iter().enumerate() {
        if position > 0 {
            out.write_str(", ")?;
        }
        if is_plain_name(name) {
            out.write_str(name)?;
        } else {
            write_quoted(out, name)?;
        }
        out.write_char('=')?;
        write_quoted(out, value)?;
    }
    out.write_char('}')
}

/// Whether a label name needs no quotes: a letter or `_`, then letters, digits and `_`.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Writes `text` in double quotes as Go's `strconv.Quote` does: what leaves no mark on paper is
/// escaped.
///
/// # Errors
/// Those of `out`.
pub fn write_quoted(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            ' '..='~' => out.write_char(c)?,
            '\x07' => out.write_str("\\a")?,
            '\x08' => out.write_str("\\b")?,
            '\x0c' => out.write_str("\\f")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\x0b' => out.write_str("\\v")?,
            c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c))?,
            c if leaves_a_mark(c) => out.write_char(c)?,
            c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04x}", u32::from(c))?,
            c => write!(out, "\\U{:08x}", u32::from(c))?,
        }
    }
    out.write_char('"')
}

fn leaves_a_mark(c: char) -> bool {
    // Combining marks are escaped by the standard library only where they stand alone.
    let mut bytes = [b'a'; 5];
    let Some(behind) = bytes.get_mut(1..) else { return false };
    let len = c.encode_utf8(behind).len();
    let text = bytes.get(..=len).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.is_some_and(|text| text.escape_debug().count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_as_prometheus_prints() {
        let labels: Labels =
            [("a.b", "1"), ("__name__", "x\"y\\z\n\u{1}"), ("c", "ä\u{a0}\u{e0001}e\u{301}")]
                .into_iter()
                .collect();
        let want =
            concat!(r#"{__name__="x\"y\\z\n\x01", "a.b"="1", c="ä\u00a0\U000e0001"#, "e\u{301}\"}");
        assert_eq!(labels.to_string(), want);
        assert_eq!(Labels::default().to_string(), "{}");
    }

    #[test]
    fn sorted_unique_and_compared_pair_by_pair() {
        let set = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Labels>();
        assert_eq!(set(&[("b", "2"), ("a", "1"), ("b", "3")]), set(&[("a", "1"), ("b", "3")]));
        assert!(set(&[("a", "1")]) < set(&[("a", "1"), ("b", "1")]));
        assert!(set(&[("a", "1"), ("z", "1")]) < set(&[("a", "2")]));
        assert_eq!(set(&[("a", "1")]).get("b"), None);
    }

    #[test]
    fn assigning_replaces_everything() {
        let mut labels: Labels = [("a", "1"), ("b", "2")].into_iter().collect();
        labels.assign_sorted([("x", "y")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("x", "y")]);
        assert_eq!(labels.len(), 1);
    }
}
