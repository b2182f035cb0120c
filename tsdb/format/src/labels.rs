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
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels {
    pairs: Vec<(String, String)>,
}

impl Labels {
    /// The value of label `name`, if the set has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok()?;
        self.pairs.get(at).map(|(_, value)| value.as_str())
    }

    /// The pairs of name and value, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Makes the set equal to `pairs`, which are sorted by name already; keeps its memory. If they
    /// are not, [`Self::get`] may miss labels.
    pub fn assign_sorted<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut len = 0;
        for (name, value) in pairs {
            if let Some((own_name, own_value)) = self.pairs.get_mut(len) {
                name.clone_into(own_name);
                value.clone_into(own_value);
            } else {
                self.pairs.push((name.to_owned(), value.to_owned()));
            }
            len += 1;
        }
        self.pairs.truncate(len);
    }
}

/// Sorts; of equal names the last one stays.
impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        let mut pairs: Vec<(String, String)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.reverse();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs.reverse();
        Self { pairs }
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
