//! Matchers into series references, over one block's index.
//!
//! | matcher | without the label | so the series are |
//! |---|---|---|
//! | `a="x"`, `a=~"x\|y"`, `a!=""` | refused | in the lists of the values that match |
//! | `a=""`, `a!="x"`, `a=~"x\|"` | accepted | all but those in the lists of the values that don't |
//!
//! Either way only values that exist in the index are tried, each once, and a set of literals or a
//! common prefix is looked up instead.

use tsdb_format::index::{BlockSeriesRef, PostingsList};

use super::matcher::Matcher;
use super::pattern::Pattern;
use super::refs::{self, Keep};

/// What a query asks an index.
pub(crate) trait LabelIndex {
    type Error;

    /// The references of all series.
    fn all(&self) -> Result<PostingsList<'_>, Self::Error>;

    /// The references of the series with this label.
    fn with_label(&self, name: &str, value: &str) -> Result<Option<PostingsList<'_>>, Self::Error>;

    /// Appends the list of each value of label `name` that starts with `prefix` and is wanted.
    fn with_values<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        want: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<PostingsList<'a>>,
    ) -> Result<(), Self::Error>;
}

/// The lists that one matcher stands for.
struct Term<'a> {
    lists: Vec<PostingsList<'a>>,
    keep: Keep,
}

/// The references, rising, of the series that satisfy every matcher; of all series for no matcher.
pub(crate) fn select<I: LabelIndex>(
    index: &I,
    matchers: &[Matcher],
) -> Result<Vec<BlockSeriesRef>, I::Error> {
    let mut terms = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        match term(index, matcher)? {
            Some(term) if term.keep == Keep::Found && refs::total(&term.lists) == 0 => {
                return Ok(Vec::new());
            }
            Some(term) => terms.push(term),
            None => {}
        }
    }
    // The shortest intersection first, differences last: the vector only shrinks.
    terms.sort_by_key(|term| (term.keep == Keep::Missing, refs::total(&term.lists)));
    let mut terms = terms.into_iter().peekable();
    let mut base = match terms.next_if(|term| term.keep == Keep::Found) {
        Some(first) => refs::union(&first.lists),
        None => index.all()?.iter().collect(),
    };
    for term in terms {
        refs::retain(&mut base, &term.lists, term.keep);
    }
    Ok(base)
}

/// The term of a matcher; `None` when it accepts everything.
fn term<'a, I: LabelIndex>(index: &'a I, matcher: &Matcher) -> Result<Option<Term<'a>>, I::Error> {
    let accepts_missing = matcher.matches("");
    if accepts_missing && matches!(matcher.pattern(), Pattern::Any) {
        return Ok(None);
    }
    let keep = if accepts_missing { Keep::Missing } else { Keep::Found };
    let mut lists = Vec::new();
    // What is listed are the values that match, for an intersection, or that don't.
    let lists_pattern = matcher.is_negative() == accepts_missing;
    match matcher.pattern() {
        Pattern::Literals(literals) if lists_pattern => {
            for literal in literals {
                lists.extend(index.with_label(matcher.name(), literal)?);
            }
        }
        pattern => {
            let prefix = if lists_pattern { pattern.prefix() } else { "" };
            let mut want = |value: &str| matcher.matches(value) != accepts_missing;
            index.with_values(matcher.name(), prefix, &mut want, &mut lists)?;
        }
    }
    Ok(Some(Term { lists, keep }))
}

#[cfg(test)]
mod tests;
