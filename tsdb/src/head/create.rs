//! Finds series by their labels, and makes those that are missing.

use std::sync::atomic::Ordering;

use tsdb_format::labels::Labels;

use super::error::AppendError;
use super::series::Cold;
use super::shared::Shared;

/// Labels of the series before: those of one target share most of them.
#[derive(Default)]
pub(super) struct Memo {
    /// By place in the set.
    pairs: Vec<(String, String, u32)>,
    /// Numbers of pairs are good as long as no sweep has made some of them free.
    sweeps: u64,
    /// Pairs of the present set; `None`: none has the strings yet.
    found: Vec<Option<u32>>,
    ids: Vec<u32>,
}

/// A series that was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) slot: u32,
    pub(super) series_ref: u64,
    pub(super) is_new: bool,
}

/// Labels without those whose value is empty.
pub(super) fn present(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(_, value)| !value.is_empty())
}

impl Shared {
    /// The series with these labels, made if need be by appender `by`.
    pub(super) fn find_or_create(
        &self,
        labels: &Labels,
        memo: &mut Memo,
        by: u64,
    ) -> Result<Found, AppendError> {
        check_labels(labels, self.options.limits.labels_max)?;
        {
            let index = self.index();
            memo.look_up(labels, index.sweeps, |name, value| index.postings.find(name, value));
            if let Some(ids) = memo.complete()
                && let Some(slot) = index.find(&self.directory(), ids)
            {
                return Ok(self.found(slot));
            }
        }
        self.create(labels, memo, None, by)
    }

    /// The series with these labels; `None`: there is none.
    pub(super) fn find(&self, labels: &Labels, memo: &mut Memo) -> Option<Found> {
        let index = self.index();
        memo.look_up(labels, index.sweeps, |name, value| index.postings.find(name, value));
        let slot = index.find(&self.directory(), memo.complete()?)?;
        Some(self.found(slot))
    }

    /// Makes a series, unless somebody was faster: with the next reference, or with `series_ref`,
    /// which a log has, so that limits do not matter.
    pub(super) fn create(
        &self,
        labels: &Labels,
        memo: &mut Memo,
        series_ref: Option<u64>,
        by: u64,
    ) -> Result<Found, AppendError> {
        let mut index = self.index_mut();
        let max = self.options.limits.series_max;
        let is_full = max > 0 && index.len() as u64 >= max;
        memo.look_up(labels, index.sweeps, |name, value| index.postings.find(name, value));
        if let Some(ids) = memo.complete()
            && let Some(slot) = index.find(&self.directory(), ids)
        {
            return Ok(self.found(slot));
        }
        if is_full && series_ref.is_none() {
            return Err(AppendError::SeriesLimit { max });
        }
        // A view may know what the free numbers were.
        index.postings.may_reuse = self.registry.views().newest == 0;
        memo.ids.clear();
        for (at, (name, value)) in present(labels).enumerate() {
            let id = match memo.found.get(at) {
                Some(Some(id)) => *id,
                _ => index.postings.find_or_add(name, value),
            };
            memo.remember(at, name, value, id);
            memo.ids.push(id);
        }
        let series_ref = match series_ref {
            Some(series_ref) => series_ref,
            None => self.last_ref.fetch_add(1, Ordering::Relaxed) + 1,
        };
        let mut directory = self.directory_mut();
        let slot = index.take_slot(&mut directory, |mark| self.registry.is_past(mark));
        if let Some(page) = directory.page(slot) {
            let mut inner = page.lock();
            let cold = inner.cold_mut(slot);
            let chunk_number = cold.chunk_number;
            *cold = Cold {
                series_ref,
                labels: memo.ids.as_slice().into(),
                chunk_number,
                promised_by: by,
                ..Cold::free()
            };
            page.slot(&mut inner, slot).publish();
        }
        super::store::Directory::set_slot(&mut directory, series_ref, Some(slot));
        drop(directory);
        index.insert(slot, &memo.ids);
        self.counters.series_created.add(1);
        Ok(Found { slot, series_ref, is_new: true })
    }

    fn found(&self, slot: u32) -> Found {
        let directory = self.directory();
        let series_ref = directory.page(slot).map_or(0, |page| page.lock().cold(slot).series_ref);
        Found { slot, series_ref, is_new: false }
    }
}

impl Memo {
    /// Finds the pair of each label.
    fn look_up(&mut self, labels: &Labels, sweeps: u64, find: impl Fn(&str, &str) -> Option<u32>) {
        if self.sweeps != sweeps {
            self.pairs.clear();
            self.sweeps = sweeps;
        }
        self.found.clear();
        for (at, (name, value)) in present(labels).enumerate() {
            let known = self.pairs.get(at).filter(|known| known.1 == value && known.0 == name);
            let id = known.map(|known| known.2).or_else(|| {
                let id = find(name, value)?;
                self.remember(at, name, value, id);
                Some(id)
            });
            self.found.push(id);
        }
    }

    /// The pairs, if all were found.
    fn complete(&mut self) -> Option<&[u32]> {
        self.ids.clear();
        for id in &self.found {
            self.ids.push((*id)?);
        }
        Some(&self.ids)
    }

    fn remember(&mut self, at: usize, name: &str, value: &str, id: u32) {
        match self.pairs.get_mut(at) {
            Some(known) => {
                name.clone_into(&mut known.0);
                value.clone_into(&mut known.1);
                known.2 = id;
            }
            None => self.pairs.push((name.to_owned(), value.to_owned(), id)),
        }
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
