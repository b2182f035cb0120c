//! A disk in memory that checks every submission, keeps a log, and fails where it is told to.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use super::{FileKey, RawFile, WriteFlags};

/// What was asked of the disk, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Write { offset: u64, len: usize, flags: WriteFlags, thread: ThreadId },
    Truncate(u64),
    Sync,
    SyncData,
    StartWriteback(u64),
    WaitWriteback(u64),
    DropCached(u64, u64),
    LeaveDirect,
    Preallocate(u64),
    Extend(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The write takes this many bytes at most.
    Short(usize),
    /// The call fails with this error number and does nothing.
    Errno(i32),
    /// The helper dies.
    Panic,
}

/// Shared, so that a test can look at it while a writer owns the other clone.
#[derive(Clone, Default)]
pub(crate) struct FakeDisk(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) bytes: Vec<u8>,
    pub(crate) events: Vec<Event>,
    /// By number of the write call, from 0.
    pub(crate) write_faults: BTreeMap<usize, Fault>,
    pub(crate) sync_fault: Option<i32>,
    pub(crate) truncate_fault: Option<i32>,
    pub(crate) wait_fault: Option<i32>,
    /// Memory and offset alignment while direct.
    pub(crate) direct: Option<(usize, usize)>,
    pub(crate) writes: usize,
    /// Whether it refuses each write as long as it is direct.
    pub(crate) refuses_direct: bool,
    /// Whether it takes the hint to grow ahead of need.
    pub(crate) extends: bool,
    /// Most bytes written and not yet waited for, at any time.
    pub(crate) dirty_max: u64,
    /// Which file it says it is.
    pub(crate) key: Option<FileKey>,
    waited: u64,
}

impl FakeDisk {
    pub(crate) fn direct(mem_align: usize, offset_align: usize) -> Self {
        let disk = Self::default();
        disk.with(|state| state.direct = Some((mem_align, offset_align)));
        disk
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    pub(crate) fn fail_write(&self, number: usize, fault: Fault) {
        self.with(|state| state.write_faults.insert(number, fault));
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.with(|state| state.bytes.clone())
    }

    /// Whether it would refuse any write now.
    pub(crate) fn refuses(&self) -> bool {
        self.with(|state| state.refuses_direct && state.direct.is_some())
    }

    /// Panics if the disk would not take such a write.
    pub(crate) fn check_alignment(&self, slices: &[IoSlice<'_>], offset_bytes: u64) {
        check_alignment(self.with(|state| state.direct), slices, offset_bytes);
    }

    /// The log without the writes.
    pub(crate) fn effects(&self) -> Vec<Event> {
        let is_effect = |event: &Event| !matches!(event, Event::Write { .. });
        self.with(|state| state.events.iter().filter(|it| is_effect(it)).cloned().collect())
    }

    /// How many clones are alive: 1 if no writer and no helper holds one any more.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

fn check_alignment(direct: Option<(usize, usize)>, slices: &[IoSlice<'_>], offset_bytes: u64) {
    let Some((mem_align, offset_align)) = direct else { return };
    assert_eq!(offset_bytes % offset_align as u64, 0, "offset");
    for slice in slices {
        assert_eq!(slice.as_ptr().addr() % mem_align, 0, "memory");
        assert_eq!(slice.len() % offset_align, 0, "length");
    }
}

fn fails(fault: Option<i32>) -> io::Result<()> {
    fault.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
}

impl RawFile for FakeDisk {
    fn write_at(
        &self,
        slices: &[IoSlice<'_>],
        offset_bytes: u64,
        flags: WriteFlags,
    ) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.with(|state| {
            let number = state.writes;
            state.writes += 1;
            check_alignment(state.direct, slices, offset_bytes);
            if state.refuses_direct && state.direct.is_some() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let took = match state.write_faults.get(&number) {
                Some(Fault::Errno(errno)) => return Err(io::Error::from_raw_os_error(*errno)),
                Some(Fault::Short(most)) => bytes.len().min(*most),
                Some(Fault::Panic) => panic!("the disk panics, as the test wants"),
                None => bytes.len(),
            };
            let (start, end) = (offset_bytes as usize, offset_bytes as usize + took);
            if state.bytes.len() < end {
                state.bytes.resize(end, 0xEE);
            }
            state.bytes[start..end].copy_from_slice(&bytes[..took]);
            let thread = std::thread::current().id();
            state.events.push(Event::Write { offset: offset_bytes, len: took, flags, thread });
            state.dirty_max = state.dirty_max.max(end as u64 - state.waited);
            Ok(took)
        })
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.with(|state| {
            fails(state.truncate_fault)?;
            state.bytes.resize(len_bytes as usize, 0);
            state.events.push(Event::Truncate(len_bytes));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            // Like the kernel: reported once, and then forgotten.
            fails(state.sync_fault.take())?;
            state.events.push(Event::Sync);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            fails(state.sync_fault.take())?;
            state.events.push(Event::SyncData);
            Ok(())
        })
    }

    fn key(&self) -> Option<FileKey> {
        self.with(|state| state.key)
    }

    #[cfg(target_os = "linux")]
    fn as_file(&self) -> Option<&std::fs::File> {
        None
    }

    fn as_fake(&self) -> Option<FakeDisk> {
        Some(self.clone())
    }

    fn start_writeback(&self, offset_bytes: u64, _len_bytes: u64) -> io::Result<()> {
        self.with(|state| state.events.push(Event::StartWriteback(offset_bytes)));
        Ok(())
    }

    fn wait_writeback(&self, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
        self.with(|state| {
            fails(state.wait_fault.take())?;
            state.waited = offset_bytes + len_bytes;
            state.events.push(Event::WaitWriteback(offset_bytes));
            Ok(())
        })
    }

    fn drop_cached(&self, offset_bytes: u64, len_bytes: u64) {
        self.with(|state| state.events.push(Event::DropCached(offset_bytes, len_bytes)));
    }

    fn leave_direct(&self) -> io::Result<()> {
        self.with(|state| {
            state.direct = None;
            state.events.push(Event::LeaveDirect);
        });
        Ok(())
    }

    fn extend(&self, from: u64, to: u64) -> io::Result<bool> {
        self.with(|state| {
            assert!(from >= state.bytes.len() as u64, "what is there already");
            if state.extends {
                state.bytes.resize(to as usize, 0);
                state.events.push(Event::Extend(to));
            }
            Ok(state.extends)
        })
    }

    fn preallocate(&self, len_bytes: u64) -> bool {
        self.with(|state| state.events.push(Event::Preallocate(len_bytes)));
        true
    }
}
