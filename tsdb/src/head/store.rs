//! Where series are found by slot and by reference, without a lock that appends would share.
//!
//! ```text
//!   reference --> refs[reference / 16384][reference % 16384] --> slot
//!   slot      --> books[slot / 16384][slot / 256 % 64] --> page --> slot % 256
//! ```
//!
//! A reference is a number of the log, never used again. A slot is dense, and is used again once
//! nobody can hold the series that had it. An appender keeps the directory that it began with; pages
//! are added to books that it knows, too, and it looks for a newer directory where it misses one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::page::{PAGE_SLOTS, Page};

const BOOK_PAGES: usize = 64;
const BOOK_SLOTS: usize = BOOK_PAGES * PAGE_SLOTS;
const SEGMENT_REFS: usize = 1 << 14;
/// No slot.
const NO_SLOT: u32 = u32::MAX;

/// All pages and references.
#[derive(Clone, Default)]
pub(super) struct Directory {
    books: Vec<Arc<Book>>,
    refs: Vec<Option<Arc<RefSegment>>>,
}

struct Book {
    pages: [OnceLock<Box<Page>>; BOOK_PAGES],
}

struct RefSegment {
    slots: [AtomicU32; SEGMENT_REFS],
}

impl Directory {
    /// The page of a slot.
    #[inline]
    pub(super) fn page(&self, slot: u32) -> Option<&Page> {
        let slot = slot as usize;
        let book = self.books.get(slot / BOOK_SLOTS)?;
        book.pages[slot / PAGE_SLOTS % BOOK_PAGES].get().map(|page| &**page)
    }

    /// The slot of a series.
    #[inline]
    pub(super) fn slot(&self, series_ref: u64) -> Option<u32> {
        let segment = self.segment(series_ref)?;
        let slot = segment.slots[series_ref as usize % SEGMENT_REFS].load(Ordering::Acquire);
        (slot != NO_SLOT).then_some(slot)
    }

    /// Every page with its first slot, in order.
    pub(super) fn pages(&self) -> impl Iterator<Item = (u32, &Page)> {
        self.books.iter().enumerate().flat_map(|(book, pages)| {
            pages.pages.iter().enumerate().filter_map(move |(at, page)| {
                let first = (book * BOOK_SLOTS + at * PAGE_SLOTS) as u32;
                page.get().map(|page| (first, &**page))
            })
        })
    }

    /// Whether a series can be put in a slot without a change that others would not see.
    pub(super) fn has_room(&self, slot: u32, series_ref: u64) -> bool {
        self.books.len() > slot as usize / BOOK_SLOTS && self.segment(series_ref).is_some()
    }

    /// Makes room for a series.
    pub(super) fn make_room(this: &mut Arc<Self>, slot: u32, series_ref: u64) {
        let book = slot as usize / BOOK_SLOTS;
        if this.books.len() <= book {
            let none = || Arc::new(Book { pages: [const { OnceLock::new() }; BOOK_PAGES] });
            Arc::make_mut(this).books.resize_with(book + 1, none);
        }
        if this.segment(series_ref).is_none()
            && let Ok(at) = usize::try_from(series_ref)
        {
            let segment = at / SEGMENT_REFS;
            let refs = &mut Arc::make_mut(this).refs;
            if refs.len() <= segment {
                refs.resize(segment + 1, None);
            }
            let slots = [const { AtomicU32::new(NO_SLOT) }; SEGMENT_REFS];
            refs[segment] = Some(Arc::new(RefSegment { slots }));
        }
    }

    /// Puts a series in a slot that there is room for. Its page is made if need be.
    pub(super) fn put(&self, slot: u32, series_ref: u64, series: impl FnOnce(&Page)) {
        let Some(book) = self.books.get(slot as usize / BOOK_SLOTS) else { return };
        series(book.pages[slot as usize / PAGE_SLOTS % BOOK_PAGES].get_or_init(Box::default));
        if let Some(segment) = self.segment(series_ref) {
            segment.slots[series_ref as usize % SEGMENT_REFS].store(slot, Ordering::Release);
        }
    }

    #[inline]
    fn segment(&self, series_ref: u64) -> Option<&RefSegment> {
        let at = usize::try_from(series_ref).ok()?;
        self.refs.get(at / SEGMENT_REFS)?.as_deref()
    }

    /// A series has another reference.
    pub(super) fn rename(this: &mut Arc<Self>, slot: u32, old_ref: u64, new_ref: u64) {
        this.forget(old_ref);
        Self::make_room(this, slot, new_ref);
        if let Some(segment) = this.segment(new_ref) {
            segment.slots[new_ref as usize % SEGMENT_REFS].store(slot, Ordering::Release);
        }
    }

    /// A series is gone.
    pub(super) fn forget(&self, series_ref: u64) {
        if let Some(segment) = self.segment(series_ref) {
            segment.slots[series_ref as usize % SEGMENT_REFS].store(NO_SLOT, Ordering::Release);
        }
    }

    /// Lets go of the segments whose series are all gone, but for the last one.
    pub(super) fn drop_empty(this: &mut Arc<Self>) {
        let is_empty = |segment: &RefSegment| {
            segment.slots.iter().all(|slot| slot.load(Ordering::Relaxed) == NO_SLOT)
        };
        let last = this.refs.len().saturating_sub(1);
        let empty: Vec<usize> = (this.refs.iter().take(last).enumerate())
            .filter(|(_, segment)| segment.as_ref().is_some_and(|segment| is_empty(segment)))
            .map(|(at, _)| at)
            .collect();
        if !empty.is_empty() {
            let refs = &mut Arc::make_mut(this).refs;
            for at in empty {
                refs[at] = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(directory: &mut Arc<Directory>, slot: u32, series_ref: u64) {
        Directory::make_room(directory, slot, series_ref);
        directory.put(slot, series_ref, |_| ());
    }

    #[test]
    fn a_directory_sees_the_pages_that_come_later() {
        let mut now = Arc::new(Directory::default());
        put(&mut now, 0, 1);
        let earlier = now.clone();
        assert!(earlier.has_room(256, 2));
        put(&mut now, 256, 2);
        assert!(earlier.page(256).is_some() && earlier.page(512).is_none());
        assert_eq!(earlier.slot(2), Some(256));
        assert!(!earlier.has_room(BOOK_SLOTS as u32, 3) && !earlier.has_room(0, 20_000));
        put(&mut now, BOOK_SLOTS as u32, 3);
        assert!(now.page(BOOK_SLOTS as u32).is_some());
        assert!(earlier.page(BOOK_SLOTS as u32).is_none(), "another book");
        assert_eq!(now.pages().map(|(slot, _)| slot).collect::<Vec<_>>(), [0, 256, 16384]);
    }

    #[test]
    fn references_come_and_go() {
        let mut directory = Arc::new(Directory::default());
        put(&mut directory, 0, 1);
        put(&mut directory, 7, 40_000);
        let earlier = directory.clone();
        assert_eq!(
            (earlier.slot(1), earlier.slot(2), earlier.slot(40_000)),
            (Some(0), None, Some(7))
        );
        assert_eq!(earlier.slot(u64::MAX), None);
        directory.forget(1);
        assert_eq!(earlier.slot(1), None, "everyone sees it");
        Directory::drop_empty(&mut directory);
        assert!(directory.refs[0].is_none() && directory.refs[2].is_some());
        directory.forget(2);
        assert!(directory.refs[0].is_none());
        Directory::rename(&mut directory, 7, 40_000, 9);
        assert_eq!((directory.slot(40_000), directory.slot(9)), (None, Some(7)));
    }
}
