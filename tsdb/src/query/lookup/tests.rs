use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use proptest::prelude::*;
use tsdb_format::checksum::crc32c;

use super::*;
use crate::query::MatchOp;

type Series = BTreeMap<String, String>;

/// An index made of a list of series.
struct Double {
    all: Vec<u8>,
    lists: BTreeMap<(String, String), Vec<u8>>,
    tried: std::cell::RefCell<Vec<String>>,
}

impl Double {
    fn new(series: &[Series]) -> Self {
        let mut all = Vec::new();
        let mut lists: BTreeMap<_, Vec<u8>> = BTreeMap::new();
        for (i, labels) in series.iter().enumerate() {
            let reference = (i as u32 * 3 + 1).to_be_bytes();
            all.extend(reference);
            for (name, value) in labels {
                lists.entry((name.clone(), value.clone())).or_default().extend(reference);
            }
        }
        lists.values_mut().for_each(frame);
        frame(&mut all);
        Self { all, lists, tried: Default::default() }
    }
}

/// Makes a postings list of its references.
fn frame(refs: &mut Vec<u8>) {
    let count = refs.len() as u32 / 4;
    refs.splice(0..0, count.to_be_bytes());
    let crc = crc32c(refs);
    refs.splice(0..0, (count * 4 + 4).to_be_bytes());
    refs.extend(crc.to_be_bytes());
}

fn list_at(bytes: &[u8]) -> PostingsList<'_> {
    PostingsList::at(bytes, 0).expect("a list")
}

impl LabelIndex for Double {
    type Error = Infallible;
    type List<'a> = PostingsList<'a>;

    fn all(&self) -> Result<PostingsList<'_>, Infallible> {
        Ok(list_at(&self.all))
    }

    fn with_label(&self, name: &str, value: &str) -> Result<Option<PostingsList<'_>>, Infallible> {
        let list = self.lists.get(&(name.to_owned(), value.to_owned()));
        Ok(list.map(|bytes| list_at(bytes)))
    }

    fn with_values<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        want: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<PostingsList<'a>>,
    ) -> Result<(), Infallible> {
        for ((of, value), bytes) in &self.lists {
            if of == name && value.starts_with(prefix) {
                self.tried.borrow_mut().push(value.clone());
                if want(value) {
                    lists.push(list_at(bytes));
                }
            }
        }
        Ok(())
    }
}

fn select_from(double: &Double, matchers: &[Matcher]) -> Vec<u32> {
    match select(double, matchers) {
        Ok(found) => found.into_iter().map(BlockSeriesRef::get).collect(),
    }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).expect("a valid pattern")
}

fn labels(pairs: &[(&str, &str)]) -> Series {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn literals_and_prefixes_are_looked_up() {
    let series: Vec<Series> =
        (0..50).map(|i| labels(&[("pod", &format!("web-{i}")), ("job", "x")])).collect();
    let double = Double::new(&series);

    let set = [matcher("pod", MatchOp::Regex, "web-[12]|db-1")];
    assert_eq!(select_from(&double, &set).len(), 2);
    let unlike = [matcher("pod", MatchOp::NotRegex, "web-1|web-2")];
    assert_eq!(select_from(&double, &unlike).len(), 48);
    assert!(double.tried.borrow().is_empty(), "sets need no scan");

    let prefix = [matcher("pod", MatchOp::Regex, "web-4.*")];
    assert_eq!(select_from(&double, &prefix).len(), 11);
    let tried = double.tried.take();
    assert_eq!(tried.len(), 11, "only values with the prefix are tried, each once: {tried:?}");
}

#[test]
fn no_matcher_selects_everything() {
    let double = Double::new(&[labels(&[("a", "1")]), labels(&[("b", "1")])]);
    assert_eq!(select_from(&double, &[]), [1, 4]);
}

fn any_series() -> impl Strategy<Value = Series> {
    let value = prop_oneof!["x", "y", "z", "xy", "x\ny"];
    proptest::collection::btree_map("[abc]", value, 1..4)
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex),
    ];
    let value = proptest::sample::select(vec![
        "", "x", "y", "q", "x|y", "x|", "x.*", ".*", ".+", ".*y", "(x|y).?", "[^x]*", "x?", "q.*",
        "(?i)X", "^x$", ".", "(?:)",
    ]);
    ("[abcd]", op, value).prop_map(|(name, op, value)| matcher(&name, op, value))
}

proptest! {
    /// The rule, said once more in the plainest way: a series without the label has the empty value.
    #[test]
    fn a_selection_equals_trying_every_series(
        series in proptest::collection::btree_set(any_series(), 0..40),
        matchers in proptest::collection::vec(any_matcher(), 0..4),
    ) {
        let series: Vec<Series> = series.into_iter().collect();
        let double = Double::new(&series);
        let accepts = |labels: &Series| matchers.iter().all(|matcher| {
            matcher.matches(labels.get(matcher.name()).map_or("", String::as_str))
        });
        let want: BTreeSet<u32> = series
            .iter()
            .enumerate()
            .filter(|(_, labels)| accepts(labels))
            .map(|(i, _)| i as u32 * 3 + 1)
            .collect();
        let found = select_from(&double, &matchers);
        prop_assert_eq!(found, want.into_iter().collect::<Vec<_>>(), "{:?}", matchers);
    }
}
