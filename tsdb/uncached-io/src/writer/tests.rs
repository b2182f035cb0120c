use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Opened, Writer};
use crate::buffer::BufferPool;
use crate::engine::{BufferSupply, EngineKind};
use crate::error::{Error, Operation};
use crate::options::Durability;
use crate::policy::{Alignment, FallbackReason, Mode};
use crate::stats::Counters;
use crate::sys::fake::{Event, FakeDisk, Fault};
use crate::target::{Target, TargetOptions, WRITE_BEHIND_BYTES};

const EIO: i32 = 5;
const EINTR: i32 = 4;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;

/// A writer over a fake disk, and what to vary about it.
#[derive(Debug, Clone, Copy)]
struct Setup {
    align: usize,
    mem_align: usize,
    buffer_bytes: usize,
    buffers: usize,
    may_downgrade: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { align: 16, mem_align: 32, buffer_bytes: 64, buffers: 3, may_downgrade: false }
    }
}

impl Setup {
    fn supply(&self) -> BufferSupply {
        let pool = Arc::new(BufferPool::new(4 * self.buffer_bytes));
        // Buffers that an earlier file has used: nothing of it may come through.
        let used: Vec<_> = (0..4).map(|_| pool.take(self.buffer_bytes, self.mem_align)).collect();
        for mut buf in used {
            buf.as_mut_slice().fill(0xAA);
            pool.give(buf);
        }
        BufferSupply {
            pool,
            buffer_bytes: self.buffer_bytes,
            mem_align: self.mem_align,
            count_max: self.buffers,
        }
    }

    fn direct(&self, disk: &FakeDisk) -> Writer {
        let alignment = Alignment {
            mem_align: self.mem_align,
            offset_align: self.align,
            read_offset_align: self.align,
        };
        self.writer(disk, Mode::Direct(alignment), (self.mem_align, self.align))
    }

    fn buffered(&self, disk: &FakeDisk, reason: FallbackReason) -> Writer {
        self.writer(disk, Mode::Buffered { reason }, (1, 1))
    }

    fn writer(&self, disk: &FakeDisk, mode: Mode, aligns: (usize, usize)) -> Writer {
        let path = PathBuf::from("fake");
        let options = TargetOptions {
            path: path.clone(),
            mode,
            may_downgrade: self.may_downgrade,
            durability: Durability::Finish,
            len_bytes: 0,
            totals: Arc::new(Counters::default()),
        };
        let opened = Opened {
            path,
            target: Target::new(Box::new(disk.clone()), options),
            supply: self.supply(),
            mem_align: aligns.0,
            offset_align: aligns.1,
            engine: if self.buffers < 2 { EngineKind::Blocking } else { EngineKind::Thread },
            at_once: false,
            resumed: None,
        };
        Writer::new(None, opened).unwrap()
    }
}

/// Bytes that differ from their neighbours and from one place to the next.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 7)).wrapping_mul(167) as u8).collect()
}

#[derive(Debug, Clone)]
enum Op {
    Write(usize),
    /// Reserve this much, commit at most that much of it.
    Fill(usize, usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (0_usize..200).prop_map(Op::Write),
        3 => (0_usize..80, 0_usize..80).prop_map(|(len, used)| Op::Fill(len, used)),
    ];
    proptest::collection::vec(op, 0..40)
}

/// Runs the operations; returns what the file must hold.
fn run(writer: &mut Writer, header: usize, ops: &[Op]) -> Result<Vec<u8>, Error> {
    let source = pattern(20_000);
    let mut model = source[..header].to_vec();
    writer.write_all(&model)?;
    for op in ops {
        let at = model.len();
        match *op {
            Op::Write(len) => {
                writer.write_all(&source[at..at + len])?;
                model.extend_from_slice(&source[at..at + len]);
            }
            Op::Fill(len, used) => {
                let len = len.min(writer.reserve_bytes_max());
                let used = used.min(len);
                let room = writer.reserve(len)?;
                assert_eq!(room.len(), len);
                room[..used].copy_from_slice(&source[at..at + used]);
                // Beyond what is committed, rubbish must not come through.
                room[used..].fill(0xBB);
                writer.commit(used)?;
                model.extend_from_slice(&source[at..at + used]);
            }
        }
        assert_eq!(writer.position(), model.len() as u64);
    }
    Ok(model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Both engines, direct and buffered, with writes cut short anywhere: the bytes are the
    /// model's, and the fake disk has checked the alignment of each submission.
    #[test]
    fn bytes_equal_the_model(
        align_log in 0_u32..6,
        mem_align_log in 0_u32..8,
        blocks in 2_usize..6,
        buffers in 1_usize..5,
        direct: bool,
        header in 0_usize..150,
        ops in ops(),
        shorts in proptest::collection::btree_map(0_usize..30, 1_usize..64, 0..6),
    ) {
        let align = 1 << align_log;
        let setup = Setup {
            align,
            mem_align: 1 << mem_align_log,
            buffer_bytes: blocks * align,
            buffers,
            may_downgrade: false,
        };
        let disk = if direct { FakeDisk::direct(setup.mem_align, align) } else { FakeDisk::default() };
        for (&number, &most) in &shorts {
            disk.fail_write(number, Fault::Short(most.max(align).max(setup.mem_align)));
        }
        let mut writer = match direct {
            true => setup.direct(&disk),
            false => setup.buffered(&disk, FallbackReason::PolicyOff),
        };
        let model = run(&mut writer, header, &ops).unwrap();
        let finished = writer.finish().unwrap();
        prop_assert_eq!(finished.len_bytes, model.len() as u64);
        prop_assert_eq!(disk.bytes(), model);
        prop_assert_eq!(disk.holders(), 1);
        let stats = finished.stats;
        if direct {
            prop_assert_eq!(stats.direct_bytes - stats.padding_bytes, finished.len_bytes);
            prop_assert!(stats.padding_bytes < align as u64, "padding below one block");
        } else {
            prop_assert_eq!(stats.buffered_bytes, finished.len_bytes);
        }
    }

    /// Whatever write fails: the error names it, the prefix it claims is there, nothing is
    /// written behind it, and the file is neither truncated nor synced.
    #[test]
    fn an_error_sticks_and_its_prefix_is_there(
        buffers in 1_usize..5,
        ops in ops(),
        number in 0_usize..20,
        errno in prop_oneof![Just(EIO), Just(ENOSPC), Just(EINVAL)],
    ) {
        let setup = Setup { buffers, ..Setup::default() };
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        disk.fail_write(number, Fault::Errno(errno));
        let mut writer = setup.direct(&disk);
        let mut result = run(&mut writer, 3, &ops).map(drop);
        if let Err(first) = &result {
            prop_assert_eq!(&writer.write_all(b"x").unwrap_err(), first);
            prop_assert_eq!(&writer.reserve(1).unwrap_err(), first);
        }
        let again = writer.finish().map(drop);
        if result.is_ok() { result = again.clone(); }
        prop_assert_eq!(&again, &result);
        match result {
            Ok(()) => prop_assert!(disk.with(|state| state.writes) <= number),
            Err(Error::Os { operation, offset_bytes, completed_bytes, errno: seen, .. }) => {
                prop_assert_eq!(operation, Operation::Write);
                prop_assert_eq!(seen.0, errno);
                prop_assert_eq!(offset_bytes, completed_bytes);
                let completed = completed_bytes as usize;
                prop_assert_eq!(&disk.bytes()[..], &pattern(completed)[..]);
                prop_assert_eq!(disk.with(|state| state.writes), number + 1);
                prop_assert_eq!(disk.effects(), vec![]);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
        prop_assert_eq!(disk.holders(), 1);
    }
}

#[test]
fn finish_truncates_then_syncs_then_drops() {
    let setup = Setup::default();
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    let mut writer = setup.direct(&disk);
    writer.write_all(&pattern(100)).unwrap();
    writer.finish().unwrap();
    assert_eq!(disk.effects(), [Event::Truncate(100), Event::Sync, Event::DropCached(0, 0)]);
}

#[test]
fn whole_blocks_need_no_truncate_and_preallocated_ones_do() {
    let setup = Setup::default();
    for preallocate in [false, true] {
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        let mut writer = setup.direct(&disk);
        if preallocate {
            writer.target.lock().preallocate(1000);
        }
        writer.write_all(&pattern(96)).unwrap();
        writer.finish().unwrap();
        assert_eq!(disk.effects().contains(&Event::Truncate(96)), preallocate);
    }
}

#[test]
fn a_file_of_one_buffer_is_written_by_its_caller_and_a_longer_one_is_not() {
    let setup = Setup::default();
    let here = std::thread::current().id();
    for (len, by_caller) in [(63, true), (1000, false)] {
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(len)).unwrap();
        writer.finish().unwrap();
        let events = disk.with(|state| state.events.clone());
        for event in events {
            if let Event::Write { thread, .. } = event {
                assert_eq!(thread == here, by_caller, "length {len}");
            }
        }
    }
}

#[test]
fn dropped_without_finish_nothing_is_truncated_or_synced_and_no_helper_stays() {
    let setup = Setup::default();
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    let mut writer = setup.direct(&disk);
    writer.write_all(&pattern(1000)).unwrap();
    drop(writer);
    assert_eq!(disk.effects(), []);
    assert_eq!(disk.holders(), 1, "a helper still holds the file");
    let bytes = disk.bytes();
    assert_eq!(bytes, pattern(1000)[..bytes.len()]);
}

#[test]
fn a_failed_sync_is_terminal() {
    let setup = Setup::default();
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    disk.with(|state| state.sync_fault = Some(EIO));
    let mut writer = setup.direct(&disk);
    writer.write_all(b"abc").unwrap();
    let error = writer.finish().unwrap_err();
    assert!(error.is_terminal(), "{error:?}");
    assert_eq!(disk.effects(), [Event::Truncate(3)]);
}

#[test]
fn a_failed_truncate_is_an_error_and_leaves_zeros_for_padding() {
    let setup = Setup::default();
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    disk.with(|state| state.truncate_fault = Some(EIO));
    let mut writer = setup.direct(&disk);
    writer.write_all(b"abc").unwrap();
    let error = writer.finish().unwrap_err();
    assert!(matches!(error, Error::Os { operation: Operation::Truncate, .. }), "{error:?}");
    assert_eq!(disk.effects(), [], "nothing is synced");
    assert_eq!(disk.bytes(), b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0", "nothing of earlier files");
}

#[test]
fn invalid_at_the_first_write_makes_the_whole_file_buffered_where_that_is_allowed() {
    for buffers in [1, 3] {
        let setup = Setup { may_downgrade: true, buffers, ..Setup::default() };
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        disk.fail_write(0, Fault::Errno(EINVAL));
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(500)).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(disk.bytes(), pattern(500));
        assert!(matches!(stats.fallback, Some(FallbackReason::WriteRefused(_))), "{stats:?}");
        assert_eq!((stats.direct_bytes, stats.buffered_bytes), (0, 500));
        assert_eq!(
            disk.effects(),
            [Event::LeaveDirect, Event::Sync, Event::DropCached(0, 0)],
            "one switch before anything is written, and no padding to cut off"
        );
    }
}

#[test]
fn invalid_later_or_where_direct_is_required_is_an_error() {
    for (number, may_downgrade) in [(0, false), (1, true), (3, true)] {
        let setup = Setup { may_downgrade, ..Setup::default() };
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        disk.fail_write(number, Fault::Errno(EINVAL));
        let mut writer = setup.direct(&disk);
        let result = writer.write_all(&pattern(500)).and_then(|()| writer.finish());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(!disk.effects().contains(&Event::LeaveDirect));
    }
}

/// Found by the property: resuming at the offset's multiple alone left memory misaligned.
#[test]
fn a_short_write_is_resumed_where_memory_is_aligned_too() {
    let setup = Setup { align: 4, mem_align: 16, buffer_bytes: 64, ..Setup::default() };
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    disk.fail_write(0, Fault::Short(20));
    let mut writer = setup.direct(&disk);
    writer.write_all(&pattern(64)).unwrap();
    let stats = writer.finish().unwrap().stats;
    assert_eq!(disk.bytes(), pattern(64));
    assert_eq!((stats.writes, stats.short_writes), (2, 1));
}

#[test]
fn interrupted_writes_are_repeated_and_stuck_ones_given_up() {
    let setup = Setup::default();
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    disk.fail_write(1, Fault::Errno(EINTR));
    let mut writer = setup.direct(&disk);
    writer.write_all(&pattern(500)).unwrap();
    writer.finish().unwrap();
    assert_eq!(disk.bytes(), pattern(500));

    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    for number in 1..10 {
        disk.fail_write(number, Fault::Short(setup.align - 1));
    }
    let mut writer = setup.direct(&disk);
    let error = writer.write_all(&pattern(500)).and_then(|()| writer.finish()).unwrap_err();
    assert!(matches!(error, Error::NoProgress { offset_bytes: 64, .. }), "{error:?}");
}

#[test]
fn buffered_writes_leave_few_dirty_bytes_and_only_fallbacks_are_dropped() {
    let mib = 1 << 20;
    let setup = Setup { buffer_bytes: mib, ..Setup::default() };
    for (reason, drops) in [(FallbackReason::PolicyOff, false), (FallbackReason::NotOffered, true)]
    {
        let disk = FakeDisk::default();
        let mut writer = setup.buffered(&disk, reason);
        let piece = pattern(mib);
        for _ in 0..50 {
            writer.write_all(&piece).unwrap();
        }
        writer.finish().unwrap();
        let dirty_max = disk.with(|state| state.dirty_max);
        assert!(dirty_max <= 3 * WRITE_BEHIND_BYTES, "{dirty_max} bytes dirty");
        let dropped =
            disk.effects().iter().filter(|it| matches!(it, Event::DropCached(..))).count();
        assert_eq!(dropped, if drops { 6 } else { 0 });
    }
}

/// The kernel reports a lost page once: here, and then no longer at the final sync.
#[test]
fn a_failed_write_back_is_kept_although_the_sync_would_succeed() {
    let mib = 1 << 20;
    for buffers in [1, 4] {
        let setup = Setup { buffer_bytes: mib, buffers, ..Setup::default() };
        let disk = FakeDisk::default();
        disk.with(|state| state.wait_fault = Some(EIO));
        let mut writer = setup.buffered(&disk, FallbackReason::PolicyOff);
        let result = writer.write_all(&vec![1; 20 * mib]).and_then(|()| writer.finish());
        let error = result.unwrap_err();
        assert!(error.is_terminal(), "{error:?}");
        assert!(!disk.effects().contains(&Event::Sync));
    }
}

#[test]
fn reservations_are_bounded_and_an_unused_one_leaves_no_trace() {
    let setup = Setup::default();
    let disk = FakeDisk::direct(setup.mem_align, setup.align);
    let mut writer = setup.direct(&disk);
    assert_eq!(writer.reserve_bytes_max(), 49);
    let error = writer.reserve(50).unwrap_err();
    assert_eq!(error, Error::ReservationTooLarge { requested_bytes: 50, max_bytes: 49 });
    writer.write_all(b"a").unwrap();
    writer.reserve(40).unwrap().fill(b'x');
    writer.write_all(b"b").unwrap();
    writer.reserve(49).unwrap()[0] = b'c';
    writer.commit(1).unwrap();
    writer.finish().unwrap();
    assert_eq!(disk.bytes(), b"abc");
}

#[test]
#[should_panic(expected = "2 bytes committed of 0 reserved")]
fn a_reservation_ends_with_the_next_write() {
    let disk = FakeDisk::direct(32, 16);
    let mut writer = Setup::default().direct(&disk);
    let _ = writer.reserve(8);
    let _ = writer.write_all(b"x");
    let _ = writer.commit(2);
}

#[test]
#[should_panic(expected = "as the test wants")]
fn a_panic_of_the_helper_reaches_the_caller() {
    let disk = FakeDisk::direct(32, 16);
    disk.fail_write(2, Fault::Panic);
    let mut writer = Setup::default().direct(&disk);
    let _ = writer.write_all(&pattern(10_000)).and_then(|()| writer.finish());
}
