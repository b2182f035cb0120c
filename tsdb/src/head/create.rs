//! Finds series by their labels, and makes those that are missing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tsdb_format::labels::Labels;

use super::error::AppendError;
use super::index::Index;
use super::memo::Memo;
use super::series::Cold;
use super::shared::Shared;
use super::store::Directory;

/// A series that was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) slot: u32,
    pub(super) series_ref: u64,
    pub(super) is_new: bool,
}

/// What somebody who looks for series keeps.
pub(super) type Known<'k> = (&'k mut Memo, &'k mut Arc<Directory>);

/// Labels without those whose value is empty.
pub(super) fn present(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(_, value)| !value.is_empty())
}

impl Shared {
    /// The series with these labels, made if need be by appender `by`.
    pub(super) fn find_or_create(
        &self,
        labels: &Labels,
        (memo, directory): Known<'_>,
        by: u64,
    ) -> Result<Found, AppendError> {
        let version = {
            let index = self.index();
            let have_checked_names = memo.look_up(labels, &index);
            if !have_checked_names {
                check_labels(labels, self.options.limits.labels_max)?;
            }
            if let Some(found) = self.find_in(&index, memo, directory) {
                return Ok(found);
            }
            index.version
        };
        self.create(labels, (memo, directory), None, by, Some(version))
    }

    /// The series with these labels; `None`: there is none.
    pub(super) fn find(&self, labels: &Labels, (memo, directory): Known<'_>) -> Option<Found> {
        let index = self.index();
        memo.look_up(labels, &index);
        self.find_in(&index, memo, directory)
    }

    /// The series with the labels that were looked up.
    fn find_in(
        &self,
        index: &Index,
        memo: &mut Memo,
        directory: &mut Arc<Directory>,
    ) -> Option<Found> {
        let ids = memo.complete()?;
        let mut series_ref = 0;
        let slot = index.find(ids, |slot| {
            self.see(directory, slot);
            let Some(page) = directory.page(slot) else { return false };
            let inner = page.lock();
            series_ref = inner.cold(slot).series_ref;
            inner.labels(slot) == ids
        })?;
        Some(Found { slot, series_ref, is_new: false })
    }

    /// Makes a series, unless somebody was faster: with the next reference, or with `series_ref`,
    /// which a log has, so that limits do not matter. `missed_at`: there was none at this version of
    /// the index, and `memo` has looked up its labels.
    pub(super) fn create(
        &self,
        labels: &Labels,
        (memo, directory): Known<'_>,
        series_ref: Option<u64>,
        by: u64,
        missed_at: Option<u64>,
    ) -> Result<Found, AppendError> {
        let mut index = self.index_mut();
        if missed_at != Some(index.version) {
            memo.look_up(labels, &index);
            if let Some(found) = self.find_in(&index, memo, directory) {
                return Ok(found);
            }
        }
        let max = self.options.limits.series_max;
        if max > 0 && index.len() as u64 >= max && series_ref.is_none() {
            return Err(AppendError::SeriesLimit { max });
        }
        // A view may know what the free numbers were.
        index.postings.may_reuse = self.registry.views().newest == 0;
        let ids = memo.make(labels, &mut index.postings);
        let series_ref = match series_ref {
            Some(series_ref) => series_ref,
            None => self.last_ref.fetch_add(1, Ordering::Relaxed) + 1,
        };
        let slot = index.take_slot(|mark| self.registry.is_past(mark));
        if !directory.has_room(slot, series_ref) {
            let mut newest = self.directory_mut();
            Directory::make_room(&mut newest, slot, series_ref);
            *directory = newest.clone();
        }
        directory.put(slot, series_ref, |page| {
            let mut inner = page.lock();
            let chunk_number = inner.cold(slot).chunk_number;
            let series = Cold { series_ref, chunk_number, promised_by: by, ..Cold::free() };
            inner.put_series(slot, ids, series);
            page.slot(&mut inner, slot).publish();
        });
        index.insert(slot, ids);
        self.counters.series_created.add(1);
        Ok(Found { slot, series_ref, is_new: true })
    }
}

/// Refuses label sets that no series can have.
fn check_labels(labels: &Labels, labels_max: usize) -> Result<(), AppendError> {
    let (mut last, mut found) = (None, 0);
    for (name, _) in present(labels) {
        match last.map(|last: &str| last.cmp(name)) {
            Some(std::cmp::Ordering::Equal) => {
                return Err(AppendError::DuplicateLabelName { name: name.to_owned() });
            }
            Some(std::cmp::Ordering::Greater) => {
                return Err(AppendError::UnsortedLabels { name: name.to_owned() });
            }
            _ => {}
        }
        last = Some(name);
        found += 1;
    }
    if found == 0 {
        return Err(AppendError::EmptyLabels);
    }
    if labels_max > 0 && found > labels_max {
        return Err(AppendError::LabelLimit { found, max: labels_max });
    }
    Ok(())
}
