//! Prometheus's text format, version 0.0.4, as this server writes it: without timestamps.
//!
//! ```text
//!   # HELP, # TYPE                     left out
//!   name{label="value",...} number
//! ```

use std::borrow::Cow;

use tsdb::query::METRIC_NAME;

/// A sample.
#[derive(Debug, PartialEq)]
pub(crate) struct Line<'t> {
    /// Name and labels, as they stand.
    pub(crate) series: &'t str,
    /// The metric's name first, then the labels.
    pub(crate) pairs: Vec<(&'t str, Cow<'t, str>)>,
    pub(crate) value: f64,
}

/// The samples of a text; a line that is none as it stands.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Result<Line<'_>, &str>> {
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    samples.map(|line| parse(line).ok_or(line))
}

fn parse(line: &str) -> Option<Line<'_>> {
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let mut pairs = vec![(METRIC_NAME, Cow::Borrowed(name))];
    let rest = match rest.strip_prefix('{') {
        Some(labels) => parse_labels(labels, &mut pairs)?,
        None => rest,
    };
    let series = line.get(..line.len() - rest.len())?;
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some(Line { series, pairs, value })
}

/// What stands behind the labels.
fn parse_labels<'t>(
    mut rest: &'t str,
    pairs: &mut Vec<(&'t str, Cow<'t, str>)>,
) -> Option<&'t str> {
    loop {
        if let Some(behind) = rest.strip_prefix('}') {
            return Some(behind);
        }
        let (name, behind) = rest.split_once("=\"")?;
        let (value, behind) = quoted(behind)?;
        pairs.push((name, value));
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
}

/// A text up to its closing quote, and what stands behind that.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })?;
    let (value, behind) = (text.get(..end)?, text.get(end + 1..)?);
    if !value.contains('\\') {
        return Some((Cow::Borrowed(value), behind));
    }
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next()? {
                'n' => plain.push('\n'),
                other => plain.push(other),
            },
            other => plain.push(other),
        }
    }
    Some((Cow::Owned(plain), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found() {
        let text = "# HELP up Is it?\n# TYPE up gauge\nup 1\n\
            b{le=\"+Inf\",path=\"a\\\\b\\\"c\\nd}\"} 2.5e-3\ne{} NaN\n";
        let found: Vec<Line<'_>> = lines(text).map(Result::unwrap).collect();
        assert_eq!((found[0].series, found[0].value), ("up", 1.0));
        assert_eq!(found[1].pairs[1], ("le", "+Inf".into()));
        assert_eq!(found[1].pairs[2], ("path", "a\\b\"c\nd}".into()));
        assert_eq!(found[1].value, 0.0025);
        assert!(found[2].value.is_nan());
        for line in ["up", "up x", "up{a=\"b} 1", "up{a} 1"] {
            assert_eq!(lines(line).next(), Some(Err(line)));
        }
    }
}
