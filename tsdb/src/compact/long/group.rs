//! Overlapping chunks, brought one by one as their merge opens them.

use super::feed::{Taken, Tools};
use super::pieces::Pieces;
use super::walk::{Step, Walk};
use super::{WRONG_END, WRONG_START, first_time};
use crate::compact::error::CompactError;
use crate::compact::reencode::{EncodedChunks, Inputs, ReencodeError, digest_chunk};
use crate::compact::vertical::put_record;
use tsdb_format::DecodeError;
use tsdb_format::chunkenc::Encoding;

/// Output that is waited for before it is handed on, in bytes.
const RELIEVE_BYTES: usize = 16 << 10;

/// What the scout found.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupPlan {
    /// Chunks of the group, and those with exact copies.
    pub(super) members: u64,
    taken: u64,
    max_time: i64,
}

/// Walks over the next group, without the chunks' bytes where times tell all: when its members
/// begin is left in `times`.
pub(super) fn scout(
    walk: &mut Walk,
    times: &mut Vec<i64>,
    tools: &mut Tools<'_>,
) -> Result<GroupPlan, CompactError> {
    let share = tools.options.shares.group_chunks_max;
    times.clear();
    let Some(mut previous) = walk.take(tools)? else { return Err(tools.out_of_step()) };
    let mut previous_record: Option<Taken> = None;
    times.push(previous.candidate.min_time);
    let max_time = previous.candidate.max_time;
    let mut plan = GroupPlan { members: 1, taken: 1, max_time };
    while walk.peek().is_some_and(|next| next.min_time <= plan.max_time) {
        let Some(next) = walk.take(tools)? else { break };
        plan.taken += 1;
        let mut next_record = None;
        if span(&next) == span(&previous) {
            let before = match previous_record.take() {
                Some(record) => record,
                None => walk.record_of(&previous, tools)?,
            };
            let record = walk.record_of(&next, tools)?;
            if record.chunk() == before.chunk() {
                previous_record = Some(before);
                tools.recycle(record.record);
                continue;
            }
            tools.recycle(before.record);
            next_record = Some(record);
        }
        plan.members += 1;
        if plan.members <= share {
            if times.len() == times.capacity() {
                // Doubling could take twice the share.
                times.reserve_exact(64.max(times.len() / 8));
            }
            times.push(next.candidate.min_time);
        }
        plan.max_time = plan.max_time.max(next.candidate.max_time);
        (previous, previous_record) = (next, next_record);
    }
    if plan.members > share {
        return Err(tools.options.shares.refuse_group(plan.members));
    }
    Ok(plan)
}

fn span(step: &Step) -> (i64, i64) {
    (step.candidate.min_time, step.candidate.max_time)
}

/// A group that is being merged.
pub(super) struct Group<'g, 't, 'p> {
    walk: &'g mut Walk,
    plan: GroupPlan,
    starts: &'g mut Vec<i64>,
    tools: &'g mut Tools<'t>,
    pieces: &'g mut Pieces<'p>,
    /// Members that were brought and are needed: their numbers, and their records.
    held: Vec<(usize, Taken)>,
    members: u64,
    taken: u64,
    /// The last member's times and chunk, if the next candidate may be a copy of it.
    previous: Option<((i64, i64), Vec<u8>)>,
    last_time: Option<i64>,
    chunks: u64,
    digest: u64,
}

impl<'g, 't, 'p> Group<'g, 't, 'p> {
    pub(super) fn new(
        walk: &'g mut Walk,
        plan: GroupPlan,
        starts: &'g mut Vec<i64>,
        tools: &'g mut Tools<'t>,
        pieces: &'g mut Pieces<'p>,
    ) -> Self {
        Self {
            walk,
            plan,
            starts,
            tools,
            pieces,
            held: Vec::new(),
            members: 0,
            taken: 0,
            previous: None,
            last_time: None,
            chunks: 0,
            digest: 0,
        }
    }

    /// Takes the first member.
    pub(super) fn begin(&mut self, first: Taken) {
        self.taken += 1;
        self.hold(first);
    }

    fn hold(&mut self, taken: Taken) {
        let times = (taken.min_time, taken.max_time);
        let next = self.walk.peek().map(|next| (next.min_time, next.max_time));
        self.previous = (next == Some(times)).then(|| (times, taken.chunk().to_vec()));
        self.held.push((self.members as usize, taken));
        self.members += 1;
    }

    /// Takes the next candidate: a member, or a copy of the last one.
    fn step(&mut self) -> Result<(), CompactError> {
        let next = match self.taken < self.plan.taken {
            true => self.walk.take(self.tools)?.and_then(|step| step.record),
            false => None,
        };
        let Some(next) = next else { return Err(self.tools.out_of_step()) };
        self.taken += 1;
        let copy = self.previous.as_ref().is_some_and(|(times, chunk)| {
            *times == (next.min_time, next.max_time) && *chunk == next.chunk()
        });
        if copy {
            self.tools.books.ledger.duplicate += u64::from(next.samples);
            self.tools.recycle(next.record);
        } else {
            self.hold(next);
        }
        Ok(())
    }

    /// Takes the copies behind the last member.
    pub(super) fn drain_copies(&mut self) -> Result<(), CompactError> {
        while self.taken < self.plan.taken {
            self.step()?;
        }
        if self.members == self.plan.members { Ok(()) } else { Err(self.tools.out_of_step()) }
    }

    /// The first member, of a group that has no other.
    pub(super) fn into_first(mut self) -> Option<Taken> {
        self.held.pop().map(|(_, taken)| taken)
    }

    fn held(&self, id: usize) -> Option<&Taken> {
        self.held.iter().find(|(number, _)| *number == id).map(|(_, taken)| taken)
    }

    /// How many chunks came out, and the digest of their samples.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.chunks, self.digest)
    }

    /// Encodes the records of what was merged, and hands them on.
    pub(super) fn hand_on(&mut self, out: &mut EncodedChunks) -> Result<(), CompactError> {
        self.tools.mutations.reencode(out);
        for chunk in &out.chunks {
            let times = (chunk.min_time, chunk.max_time);
            let follows = self.last_time.is_none_or(|last| last < times.0) && times.0 <= times.1;
            if !follows || times.1 > self.plan.max_time {
                let (source, reference) = self.tools.first_chunk;
                return Err(self.tools.blame(source, reference, WRONG_END));
            }
            self.last_time = Some(times.1);
            let mut bytes = Vec::new();
            let data = out.arena.get(chunk.range.clone()).unwrap_or_default();
            let record = put_record(&mut bytes, chunk.encoding, data, chunk.samples);
            let start = record.data_start as usize;
            let data = bytes.get(start..start + record.data_len as usize).unwrap_or_default();
            let (_, digest) = digest_chunk(record.encoding, data).map_err(|error| {
                let (source, reference) = self.tools.first_chunk;
                self.tools.blame(source, reference, error.into())
            })?;
            self.digest = self.digest.wrapping_add(digest);
            self.chunks += 1;
            let books = &mut self.tools.books;
            self.pieces.push(&bytes, record.data_len, times, record.crc, books)?;
        }
        out.clear();
        Ok(())
    }

    #[cold]
    pub(super) fn first_time_fault(&self, id: usize) -> CompactError {
        match self.held(id) {
            Some(taken) if first_time(taken) != Some(taken.min_time) => {
                self.tools.blame(taken.source, taken.reference, WRONG_START)
            }
            _ => self.tools.out_of_step(),
        }
    }

    #[cold]
    pub(super) fn blame(&self, error: ReencodeError) -> CompactError {
        match self.held(error.input()) {
            Some(taken) => self.tools.blame(taken.source, taken.reference, error.into()),
            None => self.tools.out_of_step(),
        }
    }
}

impl Inputs for Group<'_, '_, '_> {
    type Error = CompactError;

    fn take_starts(&mut self, times: &mut Vec<i64>) {
        std::mem::swap(self.starts, times);
    }

    fn has_samples(&self, _id: usize) -> Result<bool, DecodeError> {
        Ok(true)
    }

    fn bring(&mut self, id: usize) -> Result<(), CompactError> {
        while self.members <= id as u64 {
            self.step()?;
        }
        Ok(())
    }

    fn chunk(&self, id: usize) -> (Encoding, &[u8]) {
        self.held(id).map_or((Encoding::Xor, &[]), |taken| (taken.encoding, taken.chunk()))
    }

    fn release(&mut self, id: usize) {
        if let Some(at) = self.held.iter().position(|(number, _)| *number == id) {
            let (_, taken) = self.held.swap_remove(at);
            self.tools.recycle(taken.record);
        }
    }

    fn relieve(&mut self, out: &mut EncodedChunks) -> Result<(), CompactError> {
        if out.arena.len() < RELIEVE_BYTES { Ok(()) } else { self.hand_on(out) }
    }
}
