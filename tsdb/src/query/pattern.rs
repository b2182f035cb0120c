//! A compiled pattern, and what an index can do with it short of trying every value.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::re2::{self, PatternError, PatternErrorKind};

/// The largest compiled program, in bytes. `\pL{1000}` needs about 40 MiB.
const PROGRAM_BYTES_MAX: usize = 128 << 20;

/// How many literal values a pattern may stand for and still be looked up one by one.
const LITERALS_MAX: usize = 1024;

/// Which values a pattern matches, in the form that is cheapest to ask.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    /// Every value, the empty one included: `.*`.
    Any,
    /// Every value but the empty one: `.+`.
    NonEmpty,
    /// Exactly these, sorted: `a|b|c`, `web-[0-3]`.
    Literals(Vec<String>),
    /// Every value that starts so: `web-.*`.
    Prefix(String),
    /// What the automaton says. Every match starts with the prefix, which may be empty.
    Automaton {
        /// What a match starts with.
        prefix: String,
        /// Anchored at both ends.
        regex: Regex,
    },
}

impl Pattern {
    /// Compiles an RE2 pattern, anchored at both ends, where dot matches newline.
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        let hir = re2::parse(pattern)?;
        let literals_max = LITERALS_MAX.max(pattern.matches('|').count() + 1);
        if let Some(mut literals) = literals(&hir, literals_max) {
            literals.sort_unstable();
            literals.dedup();
            return Ok(Self::Literals(literals));
        }
        let parts = without_anchors(&hir);
        let (prefix, tail) = split_prefix(parts);
        match tail {
            [tail] if is_any_star(tail, 0) && prefix.is_empty() => return Ok(Self::Any),
            [tail] if is_any_star(tail, 0) => return Ok(Self::Prefix(prefix)),
            [tail] if is_any_star(tail, 1) && prefix.is_empty() => return Ok(Self::NonEmpty),
            _ => {}
        }
        let regex = compile(pattern, &hir)?;
        Ok(Self::Automaton { prefix, regex })
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::NonEmpty => !value.is_empty(),
            Self::Literals(literals) => {
                literals.binary_search_by(|literal| literal.as_str().cmp(value)).is_ok()
            }
            Self::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Self::Automaton { prefix, regex } => {
                value.starts_with(prefix.as_str()) && regex.is_match(value)
            }
        }
    }

    /// What every match starts with; empty when nothing is known.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Prefix(prefix) | Self::Automaton { prefix, .. } => prefix,
            Self::Any | Self::NonEmpty | Self::Literals(_) => "",
        }
    }
}

fn compile(pattern: &str, hir: &Hir) -> Result<Regex, PatternError> {
    let anchored = Hir::concat(vec![Hir::look(Look::Start), hir.clone(), Hir::look(Look::End)]);
    regex::RegexBuilder::new(&anchored.to_string())
        .size_limit(PROGRAM_BYTES_MAX)
        // Printing adds groups to what the parser has bounded.
        .nest_limit(4 * re2::HEIGHT_MAX)
        .build()
        .map_err(|_| PatternError {
            pattern: pattern.to_owned(),
            offset_bytes: 0,
            kind: PatternErrorKind::TooLarge,
        })
}

/// The elements of a concatenation without `^` at its start and `$` at its end, which the
/// anchoring of every matcher makes superfluous.
fn without_anchors(hir: &Hir) -> &[Hir] {
    let mut parts = match hir.kind() {
        HirKind::Concat(parts) => parts.as_slice(),
        _ => std::slice::from_ref(hir),
    };
    while let [first, rest @ ..] = parts
        && matches!(first.kind(), HirKind::Look(Look::Start))
    {
        parts = rest;
    }
    while let [rest @ .., last] = parts
        && matches!(last.kind(), HirKind::Look(Look::End))
    {
        parts = rest;
    }
    parts
}

/// The literal that a concatenation starts with, and what follows it.
fn split_prefix(parts: &[Hir]) -> (String, &[Hir]) {
    if let [first, rest @ ..] = parts
        && let HirKind::Literal(literal) = first.kind()
        && let Ok(prefix) = std::str::from_utf8(&literal.0)
    {
        return (prefix.to_owned(), rest);
    }
    (String::new(), parts)
}

/// Whether this is `.*` (`min` 0) or `.+` (`min` 1) over every character there is.
fn is_any_star(hir: &Hir, min: u32) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let HirKind::Class(Class::Unicode(class)) = repetition.sub.kind() else { return false };
    let [all] = class.ranges() else { return false };
    repetition.min == min
        && repetition.max.is_none()
        && (all.start(), all.end()) == ('\0', char::MAX)
}

/// Every value that matches, when these are at most `max`, unsorted and perhaps repeated.
fn literals(hir: &Hir, max: usize) -> Option<Vec<String>> {
    let mut values = vec![String::new()];
    for part in without_anchors(hir) {
        let tails = part_literals(part, max)?;
        if values.len().saturating_mul(tails.len()) > max {
            return None;
        }
        values = cross(&values, &tails);
    }
    Some(values)
}

fn part_literals(hir: &Hir, max: usize) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            Some(vec![text.to_owned()])
        }
        HirKind::Class(Class::Unicode(class)) => {
            let characters: usize = class.ranges().iter().map(|range| range.len()).sum();
            if characters > max {
                return None;
            }
            let ranges = class.ranges().iter();
            Some(ranges.flat_map(|r| r.start()..=r.end()).map(String::from).collect())
        }
        HirKind::Concat(parts) => {
            let mut values = vec![String::new()];
            for part in parts {
                let tails = part_literals(part, max)?;
                if values.len().saturating_mul(tails.len()) > max {
                    return None;
                }
                values = cross(&values, &tails);
            }
            Some(values)
        }
        HirKind::Alternation(parts) => {
            let mut values = Vec::new();
            for part in parts {
                values.extend(part_literals(part, max)?);
                if values.len() > max {
                    return None;
                }
            }
            Some(values)
        }
        HirKind::Capture(capture) => part_literals(&capture.sub, max),
        // Anchors in the middle, and word boundaries, need to see what is around them.
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

fn cross(heads: &[String], tails: &[String]) -> Vec<String> {
    let pairs = heads.iter().flat_map(|head| tails.iter().map(move |tail| (head, tail)));
    pairs.map(|(head, tail)| format!("{head}{tail}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(pattern: &str) -> String {
        match Pattern::new(pattern) {
            Ok(Pattern::Any) => "any".into(),
            Ok(Pattern::NonEmpty) => "non-empty".into(),
            Ok(Pattern::Literals(literals)) => literals.join(","),
            Ok(Pattern::Prefix(prefix)) => format!("{prefix}*"),
            Ok(Pattern::Automaton { prefix, .. }) => format!("regex {prefix}"),
            Err(error) => error.kind.to_string(),
        }
    }

    #[test]
    fn what_an_index_can_answer_is_recognised() {
        for (pattern, want) in [
            ("", ""),
            (".*", "any"),
            ("^.*$", "any"),
            ("(?s:.*)", "any"),
            (".+", "non-empty"),
            ("(?-s).*", "regex "),
            ("a|b|c", "a,b,c"),
            ("^(?:foo|bar)$", "bar,foo"),
            ("web-[0-3]", "web-0,web-1,web-2,web-3"),
            ("(a|b)(c|d)", "ac,ad,bc,bd"),
            ("a|a", "a"),
            ("a|", ",a"),
            ("(?i)ab", "AB,Ab,aB,ab"),
            ("foo.*", "foo*"),
            ("foo.*bar", "regex foo"),
            ("foo(a.*|b.*)", "regex foo"),
            (r"a\.b", "a.b"),
            (r"\Qa.b\E", "a.b"),
            (r"\bfoo\b", "regex "),
            ("[^a]", "regex "),
        ] {
            assert_eq!(kind(pattern), want, "{pattern:?}");
        }
    }

    #[test]
    fn a_long_alternation_is_still_a_set() {
        let names: Vec<String> = (0..5000).map(|i| format!("host-{i:04}")).collect();
        let pattern = Pattern::new(&names.join("|")).expect("valid");
        assert!(matches!(&pattern, Pattern::Literals(literals) if literals.len() == 5000));
        assert!(pattern.matches("host-4999") && !pattern.matches("host-5000"));
    }

    #[test]
    fn deep_patterns_are_refused_or_bounded() {
        let nested = format!("{}a{}", "(".repeat(900), ")".repeat(900));
        assert_eq!(kind(&nested), "a");
        let deep = format!("{}a{}", "(?:x|y".repeat(120), ")+".repeat(120));
        assert_eq!(kind(&deep), PatternErrorKind::TooDeep.to_string());
        let allowed = format!("{}a{}", "(?:x".repeat(90), ")+".repeat(90));
        assert_eq!(kind(&allowed), "regex ");
        let stacked = format!("a{}", "(?i)*".repeat(5000));
        assert_eq!(kind(&stacked), PatternErrorKind::TooDeep.to_string());
        let open = "(".repeat(100_000);
        assert_eq!(kind(&open), PatternErrorKind::TooDeep.to_string());
    }
}
