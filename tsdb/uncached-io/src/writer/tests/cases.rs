//! One thing at a time.

use std::io::{ErrorKind, Write as _};
use std::sync::Arc;

use super::{EAGAIN, EINTR, EINVAL, EIO, EOPNOTSUPP, Setup, Who, pattern};
use crate::Writer;
use crate::condemned::Condemned;
use crate::engine::{EngineKind, EngineRefusal};
use crate::error::{Error, Operation};
use crate::options::Durability;
use crate::policy::FallbackReason;
use crate::policy::Mode;
use crate::sys::fake::{Event, FakeDisk, Fault};
use crate::sys::{FileKey, WriteFlags};
use crate::target::WRITE_BEHIND_BYTES;

#[test]
fn finish_truncates_then_syncs_then_drops() {
    for setup in Setup::default().with_everyone() {
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(100)).unwrap();
        writer.finish().unwrap();
        assert_eq!(disk.effects(), [Event::Truncate(100), Event::Sync, Event::DropCached(0, 0)]);
    }
}

#[test]
fn whole_blocks_need_no_truncate_and_preallocated_ones_do() {
    for setup in Setup::default().with_everyone() {
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
    for setup in Setup::default().with_everyone() {
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(1000)).unwrap();
        drop(writer);
        assert_eq!(disk.effects(), []);
        assert_eq!(disk.holders(), 1, "a helper still holds the file");
        let bytes = disk.bytes();
        assert_eq!(bytes, pattern(1000)[..bytes.len()]);
    }
}

/// The helper may be anywhere when it happens.
#[test]
fn dropped_in_the_midst_of_many_writes_there_is_no_gap() {
    let setup = Setup { who: Who::Thread, buffers: 40, buffer_bytes: 16, ..Setup::default() };
    for _ in 0..300 {
        let disk = setup.disk();
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(640)).unwrap();
        drop(writer);
        let bytes = disk.bytes();
        assert_eq!(bytes, pattern(640)[..bytes.len()]);
    }
}

#[test]
fn the_next_file_is_written_by_the_same_engine_if_it_can_be() {
    for setup in Setup::default().with_everyone() {
        let (disk, next, other) = (setup.disk(), setup.disk(), setup.disk());
        let supply = setup.supply();
        let mut writer = setup.start(setup.opened(&disk, setup.mode(), supply.clone(), None));
        writer.write_all(&pattern(1000)).unwrap();
        writer.finish_in_place().unwrap();
        let engine = |writer: &Writer| std::ptr::from_ref(&*writer.engine).addr();
        let before = engine(&writer);
        writer.go_on(setup.opened(&next, setup.mode(), supply, None)).unwrap();
        assert_eq!(engine(&writer), before, "{setup:?}");
        // Another pool's buffers are other buffers.
        writer.go_on(setup.opened(&other, setup.mode(), setup.supply(), None)).unwrap();
        assert_ne!(engine(&writer), before, "{setup:?}");
    }
}

#[test]
fn a_failed_sync_is_terminal() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        disk.with(|state| state.sync_fault = Some(EIO));
        let mut writer = setup.direct(&disk);
        writer.write_all(b"abc").unwrap();
        let error = writer.finish().unwrap_err();
        assert!(error.is_terminal(), "{error:?}");
        assert_eq!(disk.effects(), [Event::Truncate(3)]);
    }
}

/// The disk would now say that all is well, as Linux does after it has reported a lost page.
#[test]
fn after_a_failed_partial_sync_nothing_succeeds() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(100)).unwrap();
        writer.sync_partial().unwrap();
        writer.write_all(&pattern(100)).unwrap();
        disk.with(|state| state.sync_fault = Some(EIO));
        let first = writer.sync_partial().unwrap_err();
        assert!(first.is_terminal(), "{first:?}");
        assert_eq!(writer.sync_partial(), Err(first.clone()));
        assert_eq!(writer.write_all(b"x"), Err(first.clone()));
        assert_eq!(writer.write_all(b""), Err(first.clone()));
        assert_eq!(writer.reserve(usize::MAX).unwrap_err(), first);
        assert!(writer.write(b"").is_err() && writer.flush().is_err());
        assert_eq!(writer.reset("next".as_ref(), Default::default()), Err(first.clone()));
        // Nor does the file itself, should the writer forget.
        assert_eq!(writer.target.lock().sync_data(), Err(first.clone()));
        assert_eq!(writer.target.lock().finish(200), Err(first.clone()));
        assert_eq!(writer.finish(), Err(first));
        assert_eq!(disk.effects(), [Event::SyncData], "and the disk was not asked again");
    }
}

/// The disk would sync it gladly.
#[test]
fn a_file_with_bytes_missing_is_not_finished() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(96)).unwrap();
        writer.sync_partial().unwrap();
        let (path, len_bytes, completed_bytes) = ("fake".into(), 200, 96);
        let error = Error::Incomplete { path, len_bytes, completed_bytes };
        assert_eq!(writer.target.lock().finish(200), Err(error));
        assert_eq!(disk.effects(), [Event::SyncData]);
    }
}

/// Also where nobody but the target would know: another writer, another `Io` call.
#[test]
fn a_failed_sync_is_remembered_by_file() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let key = Some(FileKey { device: 1, inode: 2, created: None });
        disk.with(|state| (state.sync_fault, state.key) = (Some(EIO), key));
        let condemned = Arc::new(Condemned::default());
        let mut opened = setup.opened(&disk, setup.mode(), setup.supply(), None);
        opened.target.condemned_for_test(Arc::clone(&condemned));
        let mut writer = setup.start(opened);
        writer.write_all(b"abc").unwrap();
        assert!(!condemned.has(key));
        writer.finish().unwrap_err();
        assert!(condemned.has(key));
    }
}

#[test]
fn a_failed_truncate_is_an_error_and_leaves_zeros_for_padding() {
    for setup in Setup::default().with_everyone() {
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        disk.with(|state| state.truncate_fault = Some(EIO));
        let mut writer = setup.direct(&disk);
        writer.write_all(b"abc").unwrap();
        let error = writer.finish().unwrap_err();
        assert!(matches!(error, Error::Os { operation: Operation::Truncate, .. }), "{error:?}");
        assert_eq!(disk.effects(), [], "nothing is synced");
        assert_eq!(disk.bytes(), b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0", "nothing of earlier files");
    }
}

#[test]
fn invalid_at_the_first_write_makes_the_whole_file_buffered_where_that_is_allowed() {
    let setup = Setup { may_downgrade: true, ..Setup::default() };
    let orders = (0..20).map(|seed| Setup { who: Who::Parked(seed), ..setup });
    for setup in setup.with_everyone().into_iter().chain(orders) {
        let disk = FakeDisk::direct(setup.mem_align, setup.align);
        // As a real one: not only the first, but all that are under way with it.
        disk.with(|state| state.refuses_direct = true);
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(500)).unwrap();
        let stats = writer.finish().unwrap().stats;
        assert_eq!(disk.bytes(), pattern(500));
        assert!(matches!(stats.fallback, Some(FallbackReason::WriteRefused(_))), "{stats:?}");
        assert_eq!((stats.direct_bytes, stats.buffered_bytes), (0, 500));
        assert_eq!(stats.dontcache_bytes, 500, "the next best way");
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
        for setup in (Setup { may_downgrade, ..Setup::default() }).with_everyone() {
            let disk = FakeDisk::direct(setup.mem_align, setup.align);
            disk.fail_write(number, Fault::Errno(EINVAL));
            let mut writer = setup.direct(&disk);
            let result = writer.write_all(&pattern(500)).and_then(|()| writer.finish());
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(!disk.effects().contains(&Event::LeaveDirect));
        }
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
    for setup in Setup::default().with_everyone() {
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
}

#[test]
#[cfg_attr(miri, ignore = "too many bytes for an interpreter")]
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
#[cfg_attr(miri, ignore = "too many bytes for an interpreter")]
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

/// Of an interruption that never ends, and a write that is put off for ever.
#[test]
#[cfg_attr(miri, ignore = "pauses too often for an interpreter")]
fn interruptions_end_as_errors() {
    for (errno, setup) in [EINTR, EAGAIN]
        .into_iter()
        .flat_map(|errno| Setup::default().with_everyone().map(|setup| (errno, setup)))
    {
        let disk = setup.disk();
        for number in 1..1000 {
            disk.fail_write(number, Fault::Errno(errno));
        }
        let mut writer = setup.direct(&disk);
        let error = writer.write_all(&pattern(500)).and_then(|()| writer.finish()).unwrap_err();
        assert_eq!(error.errno().unwrap().0, errno, "{error:?}");
        assert!(disk.with(|state| state.writes) < 500);
    }
}

#[test]
fn dontcache_that_is_refused_goes_on_without_it() {
    for setup in (Setup { durability: Durability::EachWrite, ..Setup::default() }).with_everyone() {
        let disk = FakeDisk::default();
        disk.fail_write(0, Fault::Errno(EOPNOTSUPP));
        let reason = FallbackReason::NotOffered;
        let mode = Mode::DontCache { reason };
        let mut writer = setup.start(setup.opened(&disk, mode, setup.supply(), None));
        assert_eq!(writer.engine(), EngineKind::DontCache);
        writer.write_all(&pattern(500)).unwrap();
        writer.sync_partial().unwrap();
        assert_eq!(writer.engine(), EngineKind::Buffered);
        let stats = writer.finish().unwrap().stats;
        assert_eq!(disk.bytes(), pattern(500));
        assert_eq!((stats.buffered_bytes, stats.dontcache_bytes), (500, 0));
        assert!(matches!(stats.engine_refused, Some(EngineRefusal::DontCache(_))), "{stats:?}");
        assert_eq!(stats.fallback, Some(reason), "and that is still why it is not direct");
    }
}

#[test]
fn each_write_is_flagged_as_the_file_is_meant() {
    let reason = FallbackReason::NotOffered;
    for (durability, dsync) in [(Durability::Finish, false), (Durability::EachWrite, true)] {
        for setup in (Setup { durability, ..Setup::default() }).with_everyone() {
            for (mode, dontcache) in [(setup.mode(), false), (Mode::DontCache { reason }, true)] {
                let disk = if dontcache { FakeDisk::default() } else { setup.disk() };
                let mut writer = setup.start(setup.opened(&disk, mode, setup.supply(), None));
                writer.write_all(&pattern(200)).unwrap();
                writer.finish().unwrap();
                let wanted = WriteFlags { dsync, dontcache };
                let events = disk.with(|state| state.events.clone());
                let flags: Vec<_> = events
                    .iter()
                    .filter_map(|event| match event {
                        Event::Write { flags, .. } => Some(*flags),
                        _ => None,
                    })
                    .collect();
                assert!(flags.len() >= 4 && flags.iter().all(|it| *it == wanted), "{flags:?}");
            }
        }
    }
}

/// The one case in which bytes are not copied at all, and the ones in which they are.
#[test]
fn owned_buffers_are_copied_only_where_they_must_be() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let mut writer = setup.direct(&disk);
        let expected = pattern(64);
        let mut addresses = Vec::new();
        for _ in 0..20 {
            let mut buf = writer.take_buffer().unwrap();
            addresses.push(buf.as_slice().as_ptr().addr());
            buf.as_mut_slice().copy_from_slice(&expected);
            writer.write_owned(buf, 64).unwrap();
        }
        assert_eq!(writer.stats().copied_bytes, 0);
        addresses.sort_unstable();
        addresses.dedup();
        assert!(addresses.len() <= setup.buffers, "buffers come back");
        let mut buf = writer.take_buffer().unwrap();
        buf.as_mut_slice().copy_from_slice(&expected);
        writer.write_owned(buf, 37).unwrap();
        assert_eq!(writer.stats().copied_bytes, 5, "the end behind the last whole block");
        let mut buf = writer.take_buffer().unwrap();
        buf.as_mut_slice()[..27].copy_from_slice(&expected[37..]);
        writer.write_owned(buf, 27).unwrap();
        assert_eq!(writer.stats().copied_bytes, 5 + 27, "not at a whole block");
        writer.finish().unwrap();
        assert_eq!(disk.bytes(), expected.repeat(21));
    }
}

#[test]
fn vectored_buffers_go_out_in_one_write() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let mut writer = setup.direct(&disk);
        let mut bufs = Vec::new();
        for (at, len) in [64, 16, 32, 40].into_iter().enumerate() {
            let mut buf = writer.take_buffer().unwrap();
            buf.as_mut_slice().fill(at as u8 + 1);
            bufs.push((buf, len));
        }
        writer.write_owned_vectored(bufs).unwrap();
        writer.sync_partial().unwrap();
        let stats = writer.finish().unwrap().stats;
        let expected: Vec<u8> =
            [(1, 64), (2, 16), (3, 32), (4, 40)].iter().flat_map(|&(b, n)| vec![b; n]).collect();
        assert_eq!(disk.bytes(), expected);
        // One of 144 bytes, and one of the last 8 with padding.
        assert_eq!((stats.writes, stats.copied_bytes, stats.padding_bytes), (2, 8 + 8, 8));
    }
}

#[test]
fn a_partial_sync_is_no_work_where_nothing_was_appended() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let mut writer = setup.direct(&disk);
        writer.sync_partial().unwrap();
        assert_eq!(disk.effects(), []);
        writer.write_all(&pattern(20)).unwrap();
        writer.sync_partial().unwrap();
        writer.sync_partial().unwrap();
        assert_eq!(disk.effects(), [Event::SyncData]);
        assert_eq!(disk.with(|state| state.writes), 1);
        assert_eq!(disk.bytes().len(), 32, "padded");
        let stats = writer.finish().unwrap().stats;
        assert_eq!((stats.writes, stats.rewritten_bytes), (1, 0), "its end stands there already");
        assert_eq!(disk.bytes(), pattern(20));
    }
}

/// With several writes under way the one that fails is not the last that is issued.
#[test]
fn several_are_under_way_and_a_gap_is_not_claimed() {
    let mut gaps = 0;
    let seeds = if cfg!(miri) { 4 } else { 200 };
    for seed in 0..seeds {
        let setup = Setup { who: Who::Parked(seed), buffers: 6, ..Setup::default() };
        let disk = setup.disk();
        disk.fail_write(3, Fault::Errno(EIO));
        let mut writer = setup.direct(&disk);
        let result = writer.write_all(&pattern(64 * 12)).and_then(|()| writer.finish());
        let Error::Os { offset_bytes, completed_bytes, .. } = result.unwrap_err() else { panic!() };
        assert_eq!(offset_bytes, completed_bytes, "all before it were awaited");
        let there = disk.bytes();
        assert_eq!(
            there[..completed_bytes as usize],
            pattern(there.len())[..completed_bytes as usize]
        );
        gaps += u64::from(there.len() > completed_bytes as usize + 64);
    }
    assert!(gaps * 4 > seeds, "only {gaps} of {seeds} had anything behind the gap");
}

#[test]
fn a_resumed_file_is_synced_even_if_nothing_is_appended() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        disk.with(|state| state.bytes = pattern(40));
        let resumed = super::Resumed { len_bytes: 40, tail: pattern(40)[32..].to_vec() };
        let mut writer =
            setup.start(setup.opened(&disk, setup.mode(), setup.supply(), Some(resumed)));
        assert_eq!(writer.position(), 40);
        writer.sync_partial().unwrap();
        assert_eq!(disk.effects(), [Event::SyncData], "whoever wrote it may not have");
        assert_eq!(disk.with(|state| state.writes), 0);
        assert_eq!(writer.finish().unwrap().len_bytes, 40);
        assert_eq!(disk.bytes(), pattern(40));
    }
}

#[test]
fn latencies_are_kept_by_file_and_in_total() {
    for setup in Setup::default().with_everyone() {
        let disk = setup.disk();
        let opened = setup.opened(&disk, setup.mode(), setup.supply(), None);
        let totals = opened.target.totals_for_test();
        let mut writer = setup.start(opened);
        writer.write_all(&pattern(64 * 5)).unwrap();
        writer.sync_partial().unwrap();
        assert_eq!(writer.latency().count(), 5);
        let finished = writer.finish().unwrap();
        assert_eq!(finished.latency.count(), 5);
        assert_eq!(*totals.write_latency.lock().unwrap(), finished.latency);
    }
}

/// Longer ahead of its writes, but not where it is synced half way, nor at its end.
#[test]
#[cfg_attr(miri, ignore = "too many bytes for an interpreter")]
fn a_file_that_grew_ahead_is_cut_where_it_ends() {
    let setup = Setup { who: Who::Parked(3), ..Setup::default() };
    for partial in [false, true] {
        let disk = setup.disk();
        disk.with(|state| state.extends = true);
        let mut writer = setup.direct(&disk);
        writer.write_all(&pattern(1000)).unwrap();
        let grown = Event::Extend((8 << 20) + 64);
        assert_eq!(disk.effects(), std::slice::from_ref(&grown), "once for many writes");
        if partial {
            writer.sync_partial().unwrap();
            assert_eq!(disk.bytes().len(), 1008);
            writer.write_all(&pattern(1000)).unwrap();
            writer.sync_partial().unwrap();
        }
        let len = writer.finish().unwrap().len_bytes;
        let mut expected = vec![grown];
        if partial {
            let cut = [Event::Truncate(1008), Event::SyncData, Event::DropCached(0, 0)];
            expected.extend(cut.into_iter().chain([Event::SyncData]));
        }
        expected.extend([Event::Truncate(len), Event::Sync, Event::DropCached(0, 0)]);
        assert_eq!(disk.effects(), expected);
        assert_eq!(disk.bytes().len() as u64, len);
    }
}
