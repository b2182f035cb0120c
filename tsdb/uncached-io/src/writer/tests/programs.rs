//! Random programs against a `Vec<u8>`.

use proptest::prelude::*;

use super::{EAGAIN, EINTR, EINVAL, EIO, ENOSPC, Resumed, Setup, Who, Writer, pattern};
use crate::buffer::AlignedBuf;
use crate::engine::BufferSupply;
use crate::error::{Error, Operation};
use crate::options::Durability;
use crate::policy::{FallbackReason, Mode};
use crate::sys::RawFile;
use crate::sys::fake::{Event, FakeDisk, Fault};

#[derive(Debug, Clone)]
pub(super) enum Op {
    /// This many bytes from a source at any address.
    Write(usize),
    /// Reserve this much, commit at most that much of it.
    Fill(usize, usize),
    /// A buffer of the writer's own, filled this far.
    Owned(usize),
    /// A buffer of the caller's, so many bytes, misplaced by so many.
    Foreign(usize, usize),
    /// Buffers of the writer's own, filled to a whole number of blocks or not.
    Vectored(Vec<(usize, bool)>),
    SyncPartial,
    /// Sync, drop the writer, go on with so many bytes less.
    Resume(usize),
    /// Finish, go on with the next file.
    Reset,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0_usize..200).prop_map(Op::Write),
        3 => (0_usize..80, 0_usize..80).prop_map(|(len, used)| Op::Fill(len, used)),
        3 => (0_usize..400).prop_map(Op::Owned),
        2 => (0_usize..150, 0_usize..40).prop_map(|(len, skew)| Op::Foreign(len, skew)),
        2 => proptest::collection::vec((0_usize..400, any::<bool>()), 0..5).prop_map(Op::Vectored),
        2 => Just(Op::SyncPartial),
        1 => (0_usize..100).prop_map(Op::Resume),
        1 => Just(Op::Reset),
    ];
    proptest::collection::vec(op, 0..40)
}

/// The files of one program, and what they must hold.
pub(super) struct Files {
    setup: Setup,
    mode: Mode,
    supply: BufferSupply,
    pub(super) disks: Vec<FakeDisk>,
    faults: Vec<(usize, Fault)>,
    model: Vec<u8>,
    /// Up to where the model was acknowledged as durable.
    pub(super) synced: usize,
    /// Length at which the current file was resumed.
    resumed_at: usize,
}

impl Files {
    pub(super) fn new(setup: Setup, mode: Mode, faults: &[(usize, Fault)]) -> Self {
        let (supply, faults) = (setup.supply(), faults.to_vec());
        let (disks, model) = (Vec::new(), Vec::new());
        Self { setup, mode, supply, disks, faults, model, synced: 0, resumed_at: 0 }
    }

    fn next_disk(&mut self) -> FakeDisk {
        let disk = if self.mode.is_direct() { self.setup.disk() } else { FakeDisk::default() };
        disk.with(|state| state.extends = self.setup.buffers.is_multiple_of(2));
        if self.disks.is_empty() {
            self.faults.iter().for_each(|&(number, fault)| disk.fail_write(number, fault));
        }
        self.disks.push(disk.clone());
        (self.synced, self.resumed_at) = (0, 0);
        self.model.clear();
        disk
    }

    pub(super) fn disk(&self) -> &FakeDisk {
        self.disks.last().unwrap()
    }

    pub(super) fn create(&mut self) -> Writer {
        let disk = self.next_disk();
        self.setup.start(self.setup.opened(&disk, self.mode.clone(), self.supply.clone(), None))
    }

    /// The finished file holds the model, and the counters add up.
    pub(super) fn check(&self, finished: &super::super::Finished) {
        assert_eq!(finished.len_bytes, self.model.len() as u64);
        assert_eq!(self.disk().bytes(), self.model);
        let (stats, len) = (&finished.stats, (self.model.len() - self.resumed_at) as u64);
        if stats.direct_bytes > 0 {
            assert_eq!(stats.direct_bytes - stats.padding_bytes - stats.rewritten_bytes, len);
        } else {
            assert_eq!(stats.buffered_bytes - stats.rewritten_bytes, len, "{stats:?}");
        }
        assert_eq!(finished.latency.is_empty(), stats.writes == 0);
    }

    /// What `Io::resume` does.
    fn resume(&mut self, len: usize) -> Writer {
        let disk = self.disk().clone();
        let tail = match self.mode.is_direct() {
            true => disk.bytes()[len - len % self.setup.align..len].to_vec(),
            false => Vec::new(),
        };
        disk.truncate(len as u64).unwrap();
        self.model.truncate(len);
        (self.synced, self.resumed_at) = (len, len);
        let resumed = Some(Resumed { len_bytes: len as u64, tail });
        let opened = self.setup.opened(&disk, self.mode.clone(), self.supply.clone(), resumed);
        self.setup.start(opened)
    }

    fn append(&mut self, len: usize) -> Vec<u8> {
        let source = pattern(self.model.len() + len);
        let bytes = source[self.model.len()..].to_vec();
        self.model.extend_from_slice(&bytes);
        bytes
    }

    fn filled(&mut self, writer: &mut Writer, len: usize) -> Result<(AlignedBuf, usize), Error> {
        let mut buf = writer.take_buffer()?;
        let len = len.min(buf.capacity());
        buf.as_mut_slice().fill(0xCC);
        let bytes = self.append(len);
        buf.as_mut_slice()[..len].copy_from_slice(&bytes);
        Ok((buf, len))
    }

    fn step(&mut self, writer: &mut Writer, op: &Op) -> Result<(), Error> {
        match *op {
            // A source of odd length before it puts it at an odd address.
            Op::Write(len) => {
                let mut skewed = vec![0; len % 7];
                skewed.extend(self.append(len));
                writer.write_all(&skewed[len % 7..])
            }
            Op::Fill(len, used) => {
                let len = len.min(writer.reserve_bytes_max());
                let used = used.min(len);
                let bytes = self.append(used);
                let room = writer.reserve(len)?;
                assert_eq!(room.len(), len);
                room[..used].copy_from_slice(&bytes);
                // Beyond what is committed, rubbish must not come through.
                room[used..].fill(0xBB);
                writer.commit(used)
            }
            Op::Owned(len) => {
                let (buf, len) = self.filled(writer, len)?;
                writer.write_owned(buf, len)
            }
            Op::Foreign(len, skew) => {
                let mut buf = AlignedBuf::with_capacity(len + 1 + skew, 1 << (skew % 8));
                let bytes = self.append(len);
                buf.as_mut_slice()[..len].copy_from_slice(&bytes);
                writer.write_owned(buf, len)
            }
            Op::Vectored(ref lens) => {
                let mut bufs = Vec::new();
                for &(len, whole) in lens {
                    let len = if whole { len - len % self.setup.align } else { len };
                    bufs.push(self.filled(writer, len)?);
                }
                writer.write_owned_vectored(bufs)
            }
            Op::SyncPartial => {
                writer.sync_partial()?;
                self.synced = self.model.len();
                assert!(self.disk().bytes().starts_with(&self.model), "acknowledged, not there");
                Ok(())
            }
            Op::Resume(less) => {
                writer.sync_partial()?;
                *writer = self.resume(self.model.len().saturating_sub(less));
                Ok(())
            }
            Op::Reset => {
                let finished = writer.finish_in_place()?;
                self.check(&finished);
                let disk = self.next_disk();
                let (mode, supply) = (self.mode.clone(), self.supply.clone());
                writer.go_on(self.setup.opened(&disk, mode, supply, None))
            }
        }
    }

    pub(super) fn run(
        &mut self,
        writer: &mut Writer,
        header: usize,
        ops: &[Op],
    ) -> Result<(), Error> {
        let bytes = self.append(header);
        writer.write_all(&bytes)?;
        for op in ops {
            self.step(writer, op)?;
            assert_eq!(writer.position(), self.model.len() as u64);
        }
        Ok(())
    }
}

fn anyone() -> impl Strategy<Value = Who> {
    prop_oneof![
        Just(Who::Blocking),
        Just(Who::Thread),
        any::<u64>().prop_map(Who::Parked),
        any::<u64>().prop_map(Who::Parked),
    ]
}

fn any_mode() -> impl Strategy<Value = Option<Mode>> {
    let reason = FallbackReason::NotOffered;
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Mode::DontCache { reason })),
        1 => Just(Some(Mode::Buffered { reason })),
    ]
}

/// Interruptions, and writes cut short; a direct disk gets on by a block at least.
fn passing_faults(unit: usize) -> impl Strategy<Value = Vec<(usize, Fault)>> {
    let fault = prop_oneof![
        3 => (1_usize..64).prop_map(move |most| Fault::Short(most.max(unit))),
        1 => Just(Fault::Errno(EINTR)),
        1 => Just(Fault::Errno(EAGAIN)),
    ];
    proptest::collection::vec((0_usize..40, fault), 0..8)
}

proptest! {
    #![proptest_config(crate::test_config(700))]

    /// Every engine, every mode, any alignment, any program, with writes cut short or interrupted
    /// anywhere: the bytes are the model's. The fake disk checks the alignment of each submission,
    /// the port that nobody touches or overlaps what is under way.
    #[test]
    fn bytes_equal_the_model(
        who in anyone(),
        mode in any_mode(),
        align_log in 0_u32..6,
        mem_align_log in 0_u32..8,
        blocks in 2_usize..6,
        buffers in 1_usize..5,
        header in 0_usize..150,
        may_downgrade: bool,
        ops in ops(),
        faults in passing_faults(128),
    ) {
        let align = 1 << align_log;
        let setup = Setup {
            who,
            align,
            mem_align: 1 << mem_align_log,
            buffer_bytes: blocks * align,
            buffers,
            may_downgrade,
            durability: Durability::Finish,
        };
        let mode = mode.unwrap_or_else(|| setup.mode());
        let mut files = Files::new(setup, mode, &faults);
        let mut writer = files.create();
        files.run(&mut writer, header, &ops).unwrap();
        let finished = writer.finish().unwrap();
        files.check(&finished);
        for disk in &files.disks {
            prop_assert_eq!(disk.holders(), 1);
        }
        if files.mode.is_direct() {
            let synced = ops.iter().filter(|op| matches!(op, Op::SyncPartial | Op::Resume(_)));
            let padded_max = (align - 1) * (1 + synced.count());
            prop_assert!(finished.stats.padding_bytes <= padded_max as u64, "below a block each");
        }
    }

    /// Whatever write fails: the error names it, the prefix it claims is there and holds all that
    /// was acknowledged, nothing is issued behind it, and the file is neither truncated nor synced.
    #[test]
    fn an_error_sticks_and_its_prefix_is_there(
        who in anyone(),
        buffers in 1_usize..5,
        ops in ops(),
        number in 0_usize..20,
        errno in prop_oneof![Just(EIO), Just(ENOSPC), Just(EINVAL)],
    ) {
        let setup = Setup { who, buffers, ..Setup::default() };
        let mut files = Files::new(setup, setup.mode(), &[(number, Fault::Errno(errno))]);
        let mut writer = files.create();
        let ran = files.run(&mut writer, 3, &ops);
        // The faults are those of the first file.
        prop_assume!(files.disks.len() == 1);
        let (issued, effects) = files.disk().with(|state| (state.writes, state.events.len()));
        if let Err(first) = &ran {
            prop_assert_eq!(&writer.write_all(b"x").unwrap_err(), first);
            prop_assert_eq!(&writer.reserve(1).unwrap_err(), first);
            prop_assert_eq!(&writer.take_buffer().unwrap_err(), first);
            prop_assert_eq!(&writer.sync_partial().unwrap_err(), first);
            prop_assert_eq!(&writer.reset("next".as_ref(), Default::default()).unwrap_err(), first);
        }
        let finished = writer.finish().map(drop);
        let disk = files.disk();
        prop_assert_eq!(disk.holders(), 1);
        if ran.is_err() {
            prop_assert_eq!(&finished, &ran);
            let after = disk.with(|state| (state.writes, state.events.len()));
            // A helper may still have been on its way back from the failure.
            prop_assert_eq!(after, (issued, effects), "something was issued after the failure");
        }
        match finished {
            Ok(()) => prop_assert!(disk.with(|state| state.writes) <= number),
            Err(Error::Os { operation, offset_bytes, completed_bytes, errno: seen, .. }) => {
                prop_assert_eq!(operation, Operation::Write);
                prop_assert_eq!(seen.0, errno);
                // What was written and synced before may be written again with what follows.
                let end = completed_bytes as usize;
                prop_assert!(offset_bytes <= completed_bytes);
                prop_assert!(completed_bytes - offset_bytes < setup.align as u64);
                prop_assert!(end >= files.synced, "{end} of {} acknowledged", files.synced);
                prop_assert_eq!(&disk.bytes()[..end], &pattern(end)[..]);
                // In order nothing follows; else what was under way already may have.
                let issued_max = if matches!(who, Who::Parked(_)) { number + buffers } else { number + 1 };
                prop_assert!(disk.with(|state| state.writes) <= issued_max);
                let last = disk.effects().pop();
                prop_assert!(!matches!(last, Some(Event::Sync)), "{last:?}");
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
