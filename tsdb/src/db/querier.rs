//! What a query reads: the head and the blocks, as of one moment.

use std::sync::Arc;

use super::error::DbError;
use super::shared::Shared;
use crate::block::Block;
use crate::head::HeadView;
use crate::query::{LabelStrings, Matcher, Querier, QueryError, SeriesSet, TimeRange};

/// Head and blocks as of one moment, for as long as it is kept.
///
/// Nothing that happens later is seen in it: no append, no deletion. Whole commits only are seen.
/// Keeping one keeps the head's memory of that moment, and the disk space of blocks that are deleted
/// meanwhile; nobody waits for it to be dropped.
///
/// ```no_run
/// use tsdb::db::{Db, DbOptions};
/// use tsdb::query::{Samples, TimeRange, parse_selector};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let db = Db::open("data".as_ref(), DbOptions::default())?;
/// let range = TimeRange::new(1_700_000_000_000, 1_700_003_600_000);
/// let querier = db.querier(range)?;
/// let mut found = querier.select(&parse_selector("up{job=\"api\"}")?)?;
/// let mut samples = Samples::new();
/// while let Some(series) = found.next()? {
///     println!("{}", series.owned_labels());
///     series.samples(&mut samples);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DbQuerier {
    head: Option<HeadView>,
    blocks: Vec<Arc<Block>>,
    range: TimeRange,
}

impl Shared {
    /// A querier over `range`.
    pub(super) fn querier(&self, range: TimeRange) -> Result<DbQuerier, DbError> {
        self.check_open()?;
        // The head first: what a flush moves to a block in between is then in both, not in neither.
        let head = self.head.view(range);
        let blocks = self.blocks.in_range(range);
        Ok(DbQuerier { head: Some(head), blocks, range })
    }
}

impl DbQuerier {
    /// Of a head and blocks that belong together.
    pub(super) fn new(head: Option<HeadView>, blocks: Vec<Arc<Block>>, range: TimeRange) -> Self {
        Self { head, blocks, range }
    }

    /// What it was made for.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The blocks that have a part in its range.
    #[must_use]
    pub fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// The querier proper, which borrows from this one.
    #[must_use]
    pub fn querier(&self) -> Querier<'_> {
        let querier = Querier::new(self.blocks.iter().map(Arc::as_ref));
        match &self.head {
            Some(head) => querier.with_head(head),
            None => querier,
        }
    }

    /// The series that satisfy all matchers and have a chunk in range, sorted by their labels.
    ///
    /// # Errors
    /// As [`Querier::select`].
    pub fn select(&self, matchers: &[Matcher]) -> Result<SeriesSet<'_>, QueryError> {
        self.querier().select(matchers, self.range)
    }

    /// The names of all labels of series that satisfy all matchers, as [`Querier::label_names`].
    pub fn label_names(&self, matchers: &[Matcher]) -> LabelStrings<'_> {
        self.querier().label_names(matchers, self.range)
    }

    /// The values of label `name` on series that satisfy all matchers, as
    /// [`Querier::label_values`].
    pub fn label_values(&self, name: &str, matchers: &[Matcher]) -> LabelStrings<'_> {
        self.querier().label_values(name, matchers, self.range)
    }
}

impl std::fmt::Debug for DbQuerier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let blocks: Vec<_> = self.blocks.iter().map(|block| block.id()).collect();
        let (head, range) = (self.head.is_some(), self.range);
        f.debug_struct("DbQuerier")
            .field("range", &range)
            .field("head", &head)
            .field("blocks", &blocks)
            .finish()
    }
}
