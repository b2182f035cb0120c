//! Matchers into series references, over the index of a block or of a head.
//!
//! | matcher | without the label | so the series are |
//! |---|---|---|
//! | `a="x"`, `a=~"x\|y"`, `a!=""` | refused | in the lists of the values that match |
//! | `a=""`, `a!="x"`, `a=~"x\|"` | accepted | all but those in the lists of the values that don't |
//!
//! Either way only values that exist in the index are tried, each once, and a set of literals or a
//! common prefix is looked up instead.

use std::convert::Infallible;
use std::sync::Arc;

use roaring::{MultiOps, RoaringBitmap};
use tsdb_format::index::{BlockSeriesRef, PostingsList};

use super::access::HeadIndex;
use super::matcher::Matcher;
use super::pattern::Pattern;
use super::refs::{self, Keep};
use crate::head::HeadSource;

/// What a query asks an index.
pub(crate) trait LabelIndex {
    type Error;
    /// The references of some series.
    type List<'a>: SeriesList
    where
        Self: 'a;

    /// The references of all series.
    fn all(&self) -> Result<Self::List<'_>, Self::Error>;

    /// The references of the series with this label.
    fn with_label(&self, name: &str, value: &str) -> Result<Option<Self::List<'_>>, Self::Error>;

    /// Appends the list of each value of label `name` that starts with `prefix` and is wanted.
    fn with_values<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        want: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<Self::List<'a>>,
    ) -> Result<(), Self::Error>;
}

/// A list that says how long it is.
pub(crate) trait SeriesList {
    /// How many series are in it.
    fn count(&self) -> u64;
}

impl SeriesList for PostingsList<'_> {
    fn count(&self) -> u64 {
        self.len() as u64
    }
}

impl SeriesList for Arc<RoaringBitmap> {
    fn count(&self) -> u64 {
        self.len()
    }
}

/// The lists that one matcher stands for.
struct Term<L> {
    lists: Vec<L>,
    keep: Keep,
}

impl<L: SeriesList> Term<L> {
    fn count(&self) -> u64 {
        self.lists.iter().map(SeriesList::count).sum()
    }
}

/// The references, rising, of the series of a block that satisfy every matcher; of all series for
/// no matcher.
pub(crate) fn select<I>(index: &I, matchers: &[Matcher]) -> Result<Vec<BlockSeriesRef>, I::Error>
where
    I: for<'a> LabelIndex<List<'a> = PostingsList<'a>> + 'static,
{
    let Some(terms) = terms(index, matchers)? else { return Ok(Vec::new()) };
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

/// As [`select`], of a head, whose lists are bitmaps.
pub(crate) fn select_ids(
    head: &dyn HeadSource,
    matchers: &[Matcher],
) -> Result<RoaringBitmap, Infallible> {
    let index = HeadIndex(head);
    let Some(terms) = terms(&index, matchers)? else { return Ok(RoaringBitmap::new()) };
    let union = |lists: &[Arc<RoaringBitmap>]| lists.iter().map(AsRef::as_ref).union();
    let mut terms = terms.into_iter().peekable();
    let mut base = match terms.next_if(|term| term.keep == Keep::Found) {
        Some(first) => union(&first.lists),
        None => head.all().as_ref().clone(),
    };
    for term in terms {
        match (term.keep, term.lists.as_slice()) {
            (Keep::Found, [list]) => base &= list.as_ref(),
            (Keep::Found, lists) => base &= union(lists),
            (Keep::Missing, lists) => lists.iter().for_each(|list| base -= list.as_ref()),
        }
    }
    Ok(base)
}

/// The terms of the matchers, those that leave least first and differences last, so that a set only
/// shrinks; `None` when nothing satisfies them all.
#[expect(clippy::type_complexity, reason = "a list's type depends on the index")]
fn terms<'a, I: LabelIndex>(
    index: &'a I,
    matchers: &[Matcher],
) -> Result<Option<Vec<Term<I::List<'a>>>>, I::Error> {
    let mut terms = Vec::with_capacity(matchers.len());
    for matcher in matchers {
        match term(index, matcher)? {
            Some(term) if term.keep == Keep::Found && term.count() == 0 => return Ok(None),
            Some(term) => terms.push(term),
            None => {}
        }
    }
    terms.sort_by_key(|term| (term.keep == Keep::Missing, term.count()));
    Ok(Some(terms))
}

/// The term of a matcher; `None` when it accepts everything.
fn term<'a, I: LabelIndex>(
    index: &'a I,
    matcher: &Matcher,
) -> Result<Option<Term<I::List<'a>>>, I::Error> {
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
