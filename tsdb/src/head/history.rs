//! What views may see of a page that commits have gone on with.
//!
//! ```text
//!   views           3        7      9
//!   commits    ...  |  c1 c2 |  c3  |  c4 ...
//!   this page           ^ first touch since 3    ^ since 9
//!   history          [3] ----------> [9]         what there was before c1, and before c4
//!
//!   view 3 reads [3]; views 7 and 9 read [9]; a later one reads the page as it is
//! ```
//!
//! A view is a number, and nothing is done to make one. The first commit that touches a page after
//! that remembers the page's state in front of it, 4 bytes a series: which chunk was open and how many
//! samples it had. Samples in order are only ever added behind those, so that says it all. A page
//! that nobody views pays a comparison.

use super::page::{Hot, PAGE_SLOTS, Views};
use super::series::Cold;

/// States of a page, oldest first.
#[derive(Default)]
pub(super) struct History {
    /// The newest view that this page was asked about.
    seen: u64,
    states: Vec<(u64, Box<[Visible; PAGE_SLOTS]>)>,
}

/// What can be seen of a series: all chunks before `chunk`, of that one `samples`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Visible {
    pub(super) chunk: u16,
    pub(super) samples: u16,
}

impl Visible {
    /// All that there is.
    pub(super) fn all(hot: &Hot, cold: &Cold) -> Self {
        Self { chunk: cold.chunk_number, samples: cold.open_samples(hot) }
    }

    /// How many samples of chunk `number`, which has `samples`, can be seen.
    pub(super) fn of(self, number: u16, samples: u16) -> u16 {
        match number.wrapping_sub(self.chunk) as i16 {
            0 => samples.min(self.samples),
            ..0 => samples,
            _ => 0,
        }
    }
}

impl History {
    #[inline(always)]
    pub(super) fn is_behind(&self, views: Views) -> bool {
        self.seen < views.newest
    }

    #[cold]
    pub(super) fn push<'a>(
        &mut self,
        views: Views,
        slots: impl Iterator<Item = (&'a Hot, &'a Cold)>,
    ) {
        self.forget_before(views.oldest);
        self.seen = views.newest;
        let mut state = Box::new([Visible::default(); PAGE_SLOTS]);
        for (visible, (hot, cold)) in state.iter_mut().zip(slots) {
            *visible = Visible::all(hot, cold);
        }
        self.states.push((views.newest, state));
    }

    /// What view number `view` may see of the series at `at`; `None`: all there is.
    pub(super) fn visible(&self, view: u64, at: usize) -> Option<Visible> {
        let (_, state) = self.states.iter().find(|(newest, _)| *newest >= view)?;
        state.get(at % PAGE_SLOTS).copied()
    }

    /// Drops the states that only views before `oldest` asked for.
    pub(super) fn forget_before(&mut self, oldest: u64) {
        self.states.retain(|(newest, _)| *newest >= oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_before_the_open_one_are_seen_whole() {
        let visible = Visible { chunk: 2, samples: 5 };
        assert_eq!([1, 2, 3].map(|number| visible.of(number, 100)), [100, 5, 0]);
        let wrapped = Visible { chunk: 1, samples: 5 };
        assert_eq!([65_535, 0, 1, 2].map(|number| wrapped.of(number, 9)), [9, 9, 5, 0]);
    }

    #[test]
    fn each_view_finds_the_state_behind_which_it_was_made() {
        let mut history = History::default();
        assert!(!history.is_behind(Views::default()), "nobody views");
        for newest in [3, 9] {
            let views = Views { oldest: 3, newest };
            assert!(history.is_behind(views));
            history.push(views, std::iter::empty());
            assert!(!history.is_behind(views));
        }
        let found = |history: &History, view| {
            history.states.iter().find(|(newest, _)| *newest >= view).map(|state| state.0)
        };
        assert_eq!([3, 7, 9, 10].map(|v| found(&history, v)), [Some(3), Some(9), Some(9), None]);
        history.forget_before(7);
        assert_eq!(history.states.len(), 1);
        assert_eq!(history.visible(10, 0), None);
    }
}
