//! Labels of a series as they are sent: sorted if need be, and refused if they can't be.

use tsdb::query::{METRIC_NAME, write_labels};

/// More labels than this are not even looked at, whatever the configuration allows: each takes more
/// memory than bytes of the request.
const LABELS_MAX: usize = 1 << 14;

/// How many labels a series may have, and how long they may be; each 0 for no limit but our own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LabelLimits {
    /// The most labels of a series.
    pub count_max: usize,
    /// The longest name, in bytes.
    pub name_bytes_max: usize,
    /// The longest value, in bytes.
    pub value_bytes_max: usize,
}

impl LabelLimits {
    /// With nothing left unlimited.
    fn bounded(self) -> Self {
        let bounded = |limit, none| if limit == 0 { none } else { limit };
        Self {
            count_max: bounded(self.count_max, LABELS_MAX).min(LABELS_MAX),
            name_bytes_max: bounded(self.name_bytes_max, usize::MAX),
            value_bytes_max: bounded(self.value_bytes_max, usize::MAX),
        }
    }
}

/// Labels that no series can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LabelsError {
    #[error("invalid metric name or labels, got {labels}: {what}")]
    Invalid { labels: String, what: &'static str },
    #[error("invalid labels for series, labels {labels}, duplicated label {name}")]
    Duplicate { labels: String, name: String },
    #[error("a series has more than {max} labels, the most it may have")]
    TooMany { max: usize },
    #[error("a label's {what} has {found} bytes, more than the {max} it may have")]
    TooLong { what: &'static str, found: usize, max: usize },
    #[error("labels that are not UTF-8")]
    NotUtf8,
    #[error("label references outside of the symbols table of {symbols} symbols")]
    UnknownSymbol { symbols: usize },
    #[error("an odd number of label references")]
    OddReferences,
}

/// Pairs of name and value, lent from a request. Used again for each series.
#[derive(Debug, Default)]
pub(super) struct Pairs<'r> {
    pairs: Vec<(&'r str, &'r str)>,
    limits: LabelLimits,
    refused: Option<LabelsError>,
}

impl<'r> Pairs<'r> {
    /// For series within these limits.
    pub(super) fn new(limits: LabelLimits) -> Self {
        Self { limits: limits.bounded(), ..Self::default() }
    }

    pub(super) fn clear(&mut self) {
        self.pairs.clear();
        self.refused = None;
    }

    pub(super) fn push(&mut self, name: &'r str, value: &'r str) {
        let LabelLimits { count_max, name_bytes_max, value_bytes_max } = self.limits;
        if self.pairs.len() == count_max {
            self.refuse(LabelsError::TooMany { max: count_max });
        } else if name.len() > name_bytes_max {
            let (found, max) = (name.len(), name_bytes_max);
            self.refuse(LabelsError::TooLong { what: "name", found, max });
        } else if value.len() > value_bytes_max {
            let (found, max) = (value.len(), value_bytes_max);
            self.refuse(LabelsError::TooLong { what: "value", found, max });
        } else {
            self.pairs.push((name, value));
        }
    }

    pub(super) fn push_bytes(&mut self, name: &'r [u8], value: &'r [u8]) {
        match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) => self.push(name, value),
            _ => self.refuse(LabelsError::NotUtf8),
        }
    }

    /// Keeps the first reason.
    pub(super) fn refuse(&mut self, reason: LabelsError) {
        self.refused.get_or_insert(reason);
    }

    /// The metric's name, once they were found to be a series'.
    pub(super) fn metric_name(&self) -> Option<&'r str> {
        let mut pairs = self.pairs.iter();
        pairs.find(|(name, _)| *name == METRIC_NAME).map(|(_, value)| *value)
    }

    /// The pairs, sorted by name.
    pub(super) fn sorted(&mut self) -> Result<&[(&'r str, &'r str)], LabelsError> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        if !self.pairs.is_sorted_by(|a, b| a.0 < b.0) {
            self.pairs.sort_by(|a, b| a.0.cmp(b.0));
            let mut neighbours = self.pairs.windows(2);
            let twice = |pair: &&[(&str, &str)]| matches!(pair, [a, b] if a.0 == b.0);
            if let Some([(name, _), ..]) = neighbours.find(twice) {
                let (name, labels) = ((*name).to_owned(), self.to_string());
                return Err(LabelsError::Duplicate { labels, name });
            }
        }
        Ok(&self.pairs)
    }

    /// The pairs, sorted by name, if a series can have them: with a metric's name.
    pub(super) fn of_series(&mut self) -> Result<&[(&'r str, &'r str)], LabelsError> {
        self.sorted()?;
        let metric = self.pairs.binary_search_by(|(name, _)| (*name).cmp(METRIC_NAME));
        let metric = metric.ok().and_then(|at| self.pairs.get(at));
        let what = match metric {
            None => "there is no metric name",
            Some((_, "")) => "the metric name is empty",
            Some(_) if self.pairs.first().is_some_and(|(name, _)| name.is_empty()) => {
                "a label's name is empty"
            }
            Some(_) => return Ok(&self.pairs),
        };
        Err(LabelsError::Invalid { labels: self.to_string(), what })
    }
}

impl std::fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_labels(f, self.pairs.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pairs: &[(&'static str, &'static str)]) -> Result<String, LabelsError> {
        let limits = LabelLimits { count_max: 3, name_bytes_max: 8, value_bytes_max: 4 };
        let mut all = Pairs::new(limits);
        pairs.iter().for_each(|(name, value)| all.push(name, value));
        all.of_series().map(|_| ())?;
        Ok(all.to_string())
    }

    #[test]
    fn labels_are_sorted_and_checked() {
        let up = ("__name__", "up");
        assert_eq!(checked(&[("job", "a"), up]).unwrap(), r#"{__name__="up", job="a"}"#);
        assert_eq!(checked(&[up, ("job", "")]).unwrap(), r#"{__name__="up", job=""}"#);
        for (pairs, text) in [
            (&[("job", "a")][..], "no metric name"),
            (&[("__name__", "")], "metric name is empty"),
            (&[up, ("", "a")], "label's name is empty"),
            (&[up, ("a", "1"), ("a", "2")], "duplicated label a"),
            (&[up, ("a", "1"), ("b", "2"), ("c", "3")], "more than 3 labels"),
            (&[up, ("ninebytes", "1")], "a label's name has 9 bytes, more than the 8"),
            (&[up, ("a", "12345")], "a label's value has 5 bytes, more than the 4"),
            (&[], "no metric name"),
        ] {
            let refused = checked(pairs).unwrap_err().to_string();
            assert!(refused.contains(text), "{refused}");
        }
    }

    #[test]
    fn a_set_is_used_again() {
        let mut pairs = Pairs::new(LabelLimits::default());
        pairs.push_bytes(b"\xff", b"");
        assert_eq!(pairs.of_series(), Err(LabelsError::NotUtf8));
        pairs.clear();
        pairs.push("__name__", "up");
        assert_eq!(pairs.of_series(), Ok(&[("__name__", "up")][..]));
    }
}
