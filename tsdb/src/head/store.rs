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
        let at = usize::try_from(series_ref).ok()?;
        let segment = self.refs.get(at / SEGMENT_REFS)?.as_ref()?;
        let slot = segment.slots[at % SEGMENT_REFS].load(Ordering::Acquire);
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

    /// Makes the page of a slot, if there is none yet.
    pub(super) fn add_page(this: &mut Arc<Self>, slot: u32) {
        if this.page(slot).is_some() {
            return;
        }
        let (book, at) = (slot as usize / BOOK_SLOTS, slot as usize / PAGE_SLOTS % BOOK_PAGES);
        if this.books.len() <= book {
            let none = || Arc::new(Book { pages: [const { OnceLock::new() }; BOOK_PAGES] });
            Arc::make_mut(this).books.resize_with(book + 1, none);
        }
        if let Some(book) = this.books.get(book) {
            book.pages[at].get_or_init(Box::default);
        }
    }

    /// Says which slot a series has; `None`: it is gone.
    pub(super) fn set_slot(this: &mut Arc<Self>, series_ref: u64, slot: Option<u32>) {
        let Ok(at) = usize::try_from(series_ref) else { return };
        let segment = at / SEGMENT_REFS;
        if !matches!(this.refs.get(segment), Some(Some(_))) {
            if slot.is_none() {
                return;
            }
            let refs = &mut Arc::make_mut(this).refs;
            if refs.len() <= segment {
                refs.resize(segment + 1, None);
            }
            let slots = [const { AtomicU32::new(NO_SLOT) }; SEGMENT_REFS];
            refs[segment] = Some(Arc::new(RefSegment { slots }));
        }
        if let Some(Some(segment)) = this.refs.get(segment) {
            let slot = slot.unwrap_or(NO_SLOT);
            segment.slots[at % SEGMENT_REFS].store(slot, Ordering::Release);
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

    #[test]
    fn a_directory_sees_the_pages_that_come_later() {
        let mut now = Arc::new(Directory::default());
        Directory::add_page(&mut now, 0);
        let earlier = now.clone();
        Directory::add_page(&mut now, 256);
        assert!(earlier.page(256).is_some() && earlier.page(512).is_none());
        Directory::add_page(&mut now, BOOK_SLOTS as u32);
        assert!(now.page(BOOK_SLOTS as u32).is_some());
        assert!(earlier.page(BOOK_SLOTS as u32).is_none(), "another book");
        assert_eq!(now.pages().map(|(slot, _)| slot).collect::<Vec<_>>(), [0, 256, 16384]);
    }

    #[test]
    fn references_come_and_go() {
        let mut directory = Arc::new(Directory::default());
        Directory::set_slot(&mut directory, 1, Some(0));
        Directory::set_slot(&mut directory, 40_000, Some(7));
        let earlier = directory.clone();
        assert_eq!(
            (earlier.slot(1), earlier.slot(2), earlier.slot(40_000)),
            (Some(0), None, Some(7))
        );
        assert_eq!(earlier.slot(u64::MAX), None);
        Directory::set_slot(&mut directory, 1, None);
        assert_eq!(earlier.slot(1), None, "everyone sees it");
        Directory::drop_empty(&mut directory);
        assert!(directory.refs[0].is_none() && directory.refs[2].is_some());
        Directory::set_slot(&mut directory, 2, None);
        assert!(directory.refs[0].is_none());
    }
}
