//! An explicit policy for every error number, at every call that can give one. Nothing panics.
//!
//! | call | EINTR, EAGAIN | EINVAL, ENOSYS, EOPNOTSUPP | any other |
//! |---|---|---|---|
//! | the first write | again | another way, if the policy allows one; else an error | an error |
//! | later writes | again | an error | an error |
//! | truncate | an error | an error | an error |
//! | sync, write-back | an error, for ever | an error, for ever | an error, for ever |

use super::{EAGAIN, EINTR, EINVAL, EOPNOTSUPP, Setup, pattern};
use crate::error::{Error, Operation};
use crate::policy::{FallbackReason, Mode};
use crate::sys::fake::{Event, FakeDisk, Fault};

const ENOSYS: i32 = 38;
/// All that Linux has.
const ERRNOS: std::ops::RangeInclusive<i32> = 1..=133;
const LEN: usize = 300;

/// The ways to write, and whether each may be left for another before its first write is done.
fn ways(setup: Setup) -> [(Setup, Mode, bool); 4] {
    let reason = FallbackReason::NotOffered;
    let preferred = Setup { may_downgrade: true, ..setup };
    [
        (setup, setup.mode(), false),
        (preferred, preferred.mode(), true),
        (setup, Mode::DontCache { reason }, true),
        (setup, Mode::Buffered { reason }, false),
    ]
}

fn disk_of(setup: &Setup, mode: &Mode) -> FakeDisk {
    if mode.is_direct() { setup.disk() } else { FakeDisk::default() }
}

#[test]
fn of_a_write() {
    for (setup, mode, may_leave) in Setup::default().with_everyone().into_iter().flat_map(ways) {
        for (errno, number) in ERRNOS.flat_map(|errno| [(errno, 0), (errno, 2)]) {
            let what = format!("{errno} at write {number}, {mode:?}, {setup:?}");
            let disk = disk_of(&setup, &mode);
            disk.fail_write(number, Fault::Errno(errno));
            let opened = setup.opened(&disk, mode.clone(), setup.supply(), None);
            let mut writer = setup.start(opened);
            let written = writer.write_all(&pattern(LEN)).and_then(|()| writer.finish());
            let passes = [EINTR, EAGAIN].contains(&errno);
            let refuses = [EINVAL, ENOSYS, EOPNOTSUPP].contains(&errno);
            if passes || (refuses && number == 0 && may_leave) {
                let stats = written.expect(&what).stats;
                assert_eq!(stats.retries, u64::from(passes), "{what}");
                assert!(disk.bytes() == pattern(LEN), "{what}");
                continue;
            }
            let Err(Error::Os { operation, completed_bytes, errno: seen, .. }) = written else {
                panic!("{what}: {written:?}")
            };
            assert_eq!((operation, seen.0), (Operation::Write, errno), "{what}");
            let there = disk.bytes();
            assert_eq!(there[..completed_bytes as usize], pattern(LEN)[..completed_bytes as usize]);
            let ends = [Event::Sync, Event::SyncData, Event::LeaveDirect];
            assert!(!disk.effects().iter().any(|effect| ends.contains(effect)), "{what}");
        }
    }
}

#[test]
fn of_what_ends_a_file() {
    for (setup, mode, _) in Setup::default().with_everyone().into_iter().flat_map(ways) {
        for errno in ERRNOS {
            let what = format!("{errno}, {mode:?}, {setup:?}");
            let disk = disk_of(&setup, &mode);
            let opened = setup.opened(&disk, mode.clone(), setup.supply(), None);
            let mut writer = setup.start(opened);
            writer.write_all(&pattern(LEN)).unwrap();
            disk.with(|state| state.sync_fault = Some(errno));
            let error = writer.sync_partial().unwrap_err();
            assert!(error.is_terminal() && error.errno().is_some_and(|it| it.0 == errno), "{what}");
            assert_eq!(writer.finish().unwrap_err(), error, "{what}");
            assert!(!disk.effects().contains(&Event::Sync), "{what}");
            if !mode.is_direct() {
                continue; // has no padding to cut off
            }
            let disk = disk_of(&setup, &mode);
            let opened = setup.opened(&disk, mode.clone(), setup.supply(), None);
            let mut writer = setup.start(opened);
            writer.write_all(&pattern(LEN)).unwrap();
            disk.with(|state| state.truncate_fault = Some(errno));
            let error = writer.finish().unwrap_err();
            assert!(
                matches!(error, Error::Os { operation: Operation::Truncate, errno: seen, .. } if seen.0 == errno),
                "{what}: {error:?}"
            );
            assert!(!disk.effects().contains(&Event::Sync), "{what}");
        }
    }
}
