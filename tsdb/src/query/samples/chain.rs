//! Several streams as one.
//!
//! ```text
//!  stream 0   . . . . . . . .            the current stream goes on while it is first
//!  stream 1           . . . . . . .      a heap orders the others by the time of their samples
//!             -------------------
//!             0 0 0 0 0 0 0 0 1 1 1      of equal times one sample stays
//! ```
//!
//! Which sample stays at an equal time is that of Prometheus 3.15: the current stream goes on as
//! long as it is before the heap's first; where they are equal the heap's first wins.

use tsdb_format::chunkenc::{ChunkDecoder, FloatSamples, ValueType};

use super::stream::{Step, Stream};
use crate::compact::heap::TieHeap;

/// The time "before the first sample".
const NO_TIME: i64 = i64::MIN;

/// Streams that are merged; kept and used again.
#[derive(Debug)]
pub(crate) struct Chain<S> {
    members: Vec<Member<S>>,
    /// How many members are in use.
    count: usize,
    heap: TieHeap,
    /// The member that holds the current sample.
    current: Option<u32>,
    started: bool,
    last_t: i64,
    consecutive: bool,
    /// Where in the current member the run begins that was lent last.
    run_start: usize,
    superseded: Superseded,
    /// The sample that was taken last, if it is a float.
    last_float: Option<u64>,
    /// Lent where there is no current member.
    none: ChunkDecoder,
}

/// How many samples were left out because another one had their time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Superseded {
    /// Floats equal to the one that stayed.
    pub(crate) equal: u64,
    /// All others.
    pub(crate) conflicting: u64,
}

/// A stream with the floats that were pulled from it.
#[derive(Debug)]
struct Member<S> {
    stream: S,
    floats: FloatSamples,
    at: usize,
    current: Option<ValueType>,
}

impl<S> Default for Chain<S> {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            count: 0,
            heap: TieHeap::default(),
            current: None,
            started: false,
            last_t: NO_TIME,
            consecutive: false,
            run_start: 0,
            superseded: Superseded::default(),
            last_float: None,
            none: ChunkDecoder::new(),
        }
    }
}

impl<S: Stream> Chain<S> {
    /// Starts over without members.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.heap.clear();
        self.current = None;
        self.started = false;
        self.last_t = NO_TIME;
        self.consecutive = false;
        self.run_start = 0;
        self.superseded = Superseded::default();
        self.last_float = None;
    }

    /// What was left out since the chain was cleared.
    pub(crate) fn superseded(&self) -> Superseded {
        self.superseded
    }

    /// Another member, to be set up by the caller. Its memory is that of an earlier one.
    pub(crate) fn add(&mut self) -> &mut S {
        if self.members.len() == self.count {
            self.members.push(Member {
                stream: S::default(),
                floats: FloatSamples::default(),
                at: 0,
                current: None,
            });
        }
        let member = &mut self.members[self.count];
        self.count += 1;
        member.floats.clear();
        (member.at, member.current) = (0, None);
        &mut member.stream
    }

    /// The only member, if there is just one.
    #[inline]
    pub(crate) fn only(&mut self) -> Option<&mut S> {
        let first = self.members.first_mut().filter(|_| self.count == 1);
        first.map(|member| &mut member.stream)
    }

    /// As [`Self::only`].
    pub(crate) fn single(&self) -> Option<&S> {
        self.members.first().filter(|_| self.count == 1).map(|member| &member.stream)
    }

    /// Goes to the first sample at or behind `t`, whose position within the run that was lent last
    /// is `at`: a search that starts anew in all members, as Prometheus's does.
    pub(crate) fn seek(
        &mut self,
        (t, at): (i64, usize),
        context: &S::Context,
        floats: &mut FloatSamples,
        errors: &mut Vec<S::Error>,
    ) -> Step {
        if let Some(current) = self.current
            && let Some(member) = self.members.get_mut(current as usize)
            && !member.floats.is_empty()
        {
            member.at = self.run_start + at;
        }
        self.started = true;
        self.heap.clear();
        self.current = None;
        for id in 0..self.count as u32 {
            let found =
                self.members.get_mut(id as usize).is_some_and(|m| m.seek(t, context, errors));
            if found {
                self.push(id);
            }
        }
        match self.pop() {
            Some(id) => {
                self.current = Some(id);
                self.settle(id, true, floats)
            }
            None => Step::End,
        }
    }

    fn advance(
        &mut self,
        id: u32,
        context: &S::Context,
        errors: &mut Vec<S::Error>,
    ) -> Option<ValueType> {
        self.members.get_mut(id as usize)?.next(context, errors)
    }

    fn start(&mut self, context: &S::Context, errors: &mut Vec<S::Error>) {
        self.started = true;
        self.current = (self.count > 0).then_some(0);
        for id in 1..self.count as u32 {
            if self.advance(id, context, errors).is_some() {
                self.push(id);
            }
        }
    }

    fn settle(&mut self, id: u32, changed: bool, floats: &mut FloatSamples) -> Step {
        self.consecutive = !changed;
        let bound = self.heap.peek().map(|first| self.time_of(first));
        let Some(member) = self.members.get_mut(id as usize) else { return Step::End };
        match member.current {
            Some(ValueType::Float) => {
                self.run_start = member.at;
                self.last_t = member.lend(bound, floats);
                self.last_float = member.float();
                Step::Floats
            }
            Some(value_type) => {
                self.last_t = member.time();
                self.last_float = None;
                Step::Histogram(value_type)
            }
            None => Step::End,
        }
    }

    /// Books the current sample of a member, which has the time of the one taken last.
    fn leave_out(&mut self, id: u32) {
        let float = self.members.get(id as usize).and_then(Member::float);
        if float.is_some() && float == self.last_float {
            self.superseded.equal += 1;
        } else {
            self.superseded.conflicting += 1;
        }
    }

    fn push(&mut self, id: u32) {
        let members = &self.members;
        self.heap.push(id, |a, b| time_of(members, a) < time_of(members, b));
    }

    fn pop(&mut self) -> Option<u32> {
        let members = &self.members;
        self.heap.pop(|a, b| time_of(members, a) < time_of(members, b))
    }

    fn time_of(&self, id: u32) -> i64 {
        time_of(&self.members, id)
    }
}

impl<S: Stream> Stream for Chain<S> {
    type Context = S::Context;
    type Error = S::Error;

    fn pull(
        &mut self,
        context: &S::Context,
        floats: &mut FloatSamples,
        errors: &mut Vec<S::Error>,
    ) -> Step {
        let mut changed = !self.started;
        if !self.started {
            self.start(context, errors);
        }
        let Some(mut current) = self.current else { return Step::End };
        loop {
            if self.advance(current, context, errors).is_some() {
                let t = self.time_of(current);
                if t == self.last_t {
                    self.leave_out(current);
                    continue;
                }
                if self.heap.peek().is_none_or(|first| t < self.time_of(first)) {
                    return self.settle(current, changed, floats);
                }
                self.push(current);
            }
            changed = true;
            self.current = self.pop();
            let Some(next) = self.current else { return Step::End };
            current = next;
            if self.time_of(next) != self.last_t {
                return self.settle(next, changed, floats);
            }
            self.leave_out(next);
        }
    }

    fn skip_before(&mut self, t: i64) {
        self.members.iter_mut().take(self.count).for_each(|member| member.stream.skip_before(t));
    }

    fn decoder(&self) -> &ChunkDecoder {
        let current = self.current.and_then(|id| self.members.get(id as usize));
        current.map_or(&self.none, |member| member.stream.decoder())
    }

    fn is_consecutive(&self) -> bool {
        let current = self.current.and_then(|id| self.members.get(id as usize));
        self.consecutive && current.is_some_and(|member| member.stream.is_consecutive())
    }
}

fn time_of<S: Stream>(members: &[Member<S>], id: u32) -> i64 {
    members.get(id as usize).map_or(i64::MAX, Member::time)
}

impl<S: Stream> Member<S> {
    #[inline]
    fn next(&mut self, context: &S::Context, errors: &mut Vec<S::Error>) -> Option<ValueType> {
        if self.at + 1 < self.floats.len() {
            self.at += 1;
            return self.current;
        }
        self.floats.clear();
        self.at = 0;
        self.current = match self.stream.pull(context, &mut self.floats, errors) {
            Step::Floats => Some(ValueType::Float),
            Step::Histogram(value_type) => Some(value_type),
            Step::End => None,
        };
        self.current
    }

    /// Whether there is a sample at or behind `t`; it then stands on it. Never goes back.
    fn seek(&mut self, t: i64, context: &S::Context, errors: &mut Vec<S::Error>) -> bool {
        self.stream.skip_before(t);
        while self.current.is_none() || self.time() < t {
            if self.next(context, errors).is_none() {
                return false;
            }
        }
        true
    }

    #[inline]
    fn time(&self) -> i64 {
        match self.floats.timestamps.get(self.at) {
            Some(&t) => t,
            None => self.stream.decoder().timestamp(),
        }
    }

    /// The bits of the current sample, if it is a float.
    fn float(&self) -> Option<u64> {
        self.floats.values.get(self.at).map(|value| value.to_bits())
    }

    /// Copies the current float and those behind it that are before `bound`, and stands on the last
    /// of them. Returns its time.
    fn lend(&mut self, bound: Option<i64>, out: &mut FloatSamples) -> i64 {
        let ahead = self.floats.timestamps.get(self.at..).unwrap_or_default();
        let pairs = ahead.windows(2);
        let more = match bound {
            Some(bound) => pairs.take_while(|pair| pair[1] < bound && pair[1] != pair[0]).count(),
            None => pairs.take_while(|pair| pair[1] != pair[0]).count(),
        };
        let range = self.at..self.at + more + 1;
        self.at += more;
        out.extend_from(&self.floats, range);
        ahead.get(more).copied().unwrap_or(NO_TIME)
    }
}
