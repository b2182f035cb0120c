//! An open block and a head as the lookup of matchers sees them.

use std::convert::Infallible;
use std::sync::Arc;

use roaring::RoaringBitmap;
use tsdb_format::index::PostingsList;

use super::lookup::LabelIndex;
use crate::block::{BlockIndex, LabelValue, ReadError};
use crate::head::HeadSource;

impl LabelIndex for BlockIndex {
    type Error = ReadError;
    type List<'a> = PostingsList<'a>;

    fn all(&self) -> Result<PostingsList<'_>, ReadError> {
        self.all_postings()
    }

    fn with_label(&self, name: &str, value: &str) -> Result<Option<PostingsList<'_>>, ReadError> {
        if name.is_empty() {
            // Under the empty name the index lists all series; a label never has it.
            return Ok(None);
        }
        self.postings(name, value)
    }

    fn with_values<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        want: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<PostingsList<'a>>,
    ) -> Result<(), ReadError> {
        for label in values_with_prefix(self, name, prefix) {
            let label = label?;
            if want(label.value) {
                lists.push(self.postings_of(label)?);
            }
        }
        Ok(())
    }
}

/// The values of label `name` that start with `prefix`, sorted.
fn values_with_prefix<'a>(
    index: &'a BlockIndex,
    name: &str,
    prefix: &str,
) -> impl Iterator<Item = Result<LabelValue<'a>, ReadError>> {
    let values = index.label_values_from(name, prefix);
    values.take_while(move |label| {
        label.as_ref().map_or(true, |label| label.value.starts_with(prefix))
    })
}

/// A head.
pub(super) struct HeadIndex<'v>(pub(super) &'v dyn HeadSource);

impl LabelIndex for HeadIndex<'_> {
    type Error = Infallible;
    type List<'a>
        = Arc<RoaringBitmap>
    where
        Self: 'a;

    fn all(&self) -> Result<Arc<RoaringBitmap>, Infallible> {
        Ok(self.0.all())
    }

    fn with_label(
        &self,
        name: &str,
        value: &str,
    ) -> Result<Option<Arc<RoaringBitmap>>, Infallible> {
        Ok(self.0.postings(name, value))
    }

    fn with_values<'a>(
        &'a self,
        name: &str,
        prefix: &str,
        want: &mut dyn FnMut(&str) -> bool,
        lists: &mut Vec<Arc<RoaringBitmap>>,
    ) -> Result<(), Infallible> {
        for value in self.0.label_values(name) {
            if value.starts_with(prefix) && want(value) {
                lists.extend(self.0.postings(name, value));
            }
        }
        Ok(())
    }
}
