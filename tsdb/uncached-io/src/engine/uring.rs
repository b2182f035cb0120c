//! The kernel's own queue (`io_uring`): the caller submits, nobody else is needed.
//!
//! ```text
//!   slots   |request + iovecs|    free    |request + iovecs|     fixed number, never moved
//!                 ^ user_data = index of the slot
//!   kernel reads the memory of a slot from submission to completion
//! ```
//!
//! Ownership, which is all that the `unsafe` here rests on: a request is put into its slot
//! before its addresses are taken, and leaves the slot only with its completion. If the ring
//! fails such that completions can no longer be had, slots that are in use are leaked.
//!
//! One ring a writer. Writes that a thread had queued when it exited come back as canceled; they
//! are attempted again.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;

use io_uring::{IoUring, opcode, types};

use super::queue::{Completion, Port};
use super::{BufferSupply, EngineRefusal, QueueEngine, SharedTarget};
use crate::error::Errno;
use crate::request::Request;
use crate::sys::{RawFile, WriteFlags, raw_flags};

/// How often a full or busy queue is tried again before it is an error.
const BUSY_MAX: u32 = 1000;

struct Slot {
    request: Request,
    iovecs: Vec<libc::iovec>,
}

/// See the module.
pub(crate) struct RingPort {
    ring: IoUring,
    slots: ManuallyDrop<Vec<Option<Slot>>>,
    free: Vec<usize>,
    /// What the ring said when it stopped working.
    broken: Option<i32>,
}

#[expect(unsafe_code, reason = "iovecs point into the requests beside them")]
// SAFETY: the pointers in `Slot::iovecs` point into buffers that the same slot owns, and are
// followed by the kernel only. Everything else is `Send` by itself.
unsafe impl Send for RingPort {}

/// An engine that writes through a ring of its own.
pub(crate) fn start(
    target: SharedTarget,
    supply: BufferSupply,
) -> Result<QueueEngine<RingPort>, EngineRefusal> {
    let port = RingPort::new(supply.count_max)?;
    Ok(QueueEngine::new(port, target, supply))
}

/// Whether rings can be had here, found out by making one and sending something through it.
pub(crate) fn works() -> Result<(), EngineRefusal> {
    let mut ring = IoUring::new(1).map_err(|error| refusal(&error))?;
    let nothing = opcode::Nop::new().build();
    #[expect(unsafe_code, reason = "submission entries may point anywhere")]
    // SAFETY: a no-op refers to no memory.
    let pushed = unsafe { ring.submission().push(&nothing) };
    let full = |_| io::Error::from(io::ErrorKind::WouldBlock);
    pushed
        .map_err(full)
        .and_then(|()| retried(|| ring.submit_and_wait(1)))
        .map_err(|error| refusal(&error))?;
    match ring.completion().next().map(|entry| entry.result()) {
        Some(0) => Ok(()),
        other => Err(EngineRefusal::Ring(Errno(-other.unwrap_or(0)))),
    }
}

fn refusal(error: &io::Error) -> EngineRefusal {
    let setting = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match setting.ok().and_then(|setting| setting.trim().parse().ok()) {
        Some(setting @ 1..) if error.raw_os_error() == Some(libc::EPERM) => {
            EngineRefusal::RingDisabled { setting }
        }
        _ => EngineRefusal::Ring(Errno::of(error)),
    }
}

/// Enters the ring; an interruption or a busy kernel is over soon.
fn retried(mut enter: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    let mut tries = 0;
    loop {
        match enter() {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY))
                    && tries < BUSY_MAX =>
            {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

impl RingPort {
    fn new(count: usize) -> Result<Self, EngineRefusal> {
        let entries = u32::try_from(count.next_power_of_two()).unwrap_or(1);
        let ring = IoUring::new(entries).map_err(|error| refusal(&error))?;
        Ok(Self {
            ring,
            slots: ManuallyDrop::new((0..count).map(|_| None).collect()),
            free: (0..count).rev().collect(),
            broken: None,
        })
    }

    fn broken(&mut self, error: io::Error) -> io::Error {
        self.broken = Some(error.raw_os_error().unwrap_or(libc::EIO));
        error
    }
}

impl Port for RingPort {
    fn push(&mut self, request: Request, file: &dyn RawFile, flags: WriteFlags) -> io::Result<()> {
        let (Some(file), Some(at)) = (file.as_file(), self.free.pop()) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let offset = request.next_offset();
        let slot = self.slots[at].insert(Slot { request, iovecs: Vec::new() });
        let iovec = |slice: io::IoSlice<'_>| libc::iovec {
            iov_base: slice.as_ptr().cast_mut().cast(),
            iov_len: slice.len(),
        };
        slot.iovecs = slot.request.slices().map(iovec).collect();
        let count = slot.iovecs.len() as u32;
        let entry = opcode::Writev::new(types::Fd(file.as_raw_fd()), slot.iovecs.as_ptr(), count)
            .offset(offset)
            .rw_flags(raw_flags(flags).bits().cast_signed())
            .build()
            .user_data(at as u64);
        #[expect(unsafe_code, reason = "the kernel will read memory through this entry")]
        // SAFETY: the iovecs and the buffers they point to belong to the slot, are not touched
        // as long as it is taken, and are leaked rather than freed should it never complete.
        // The descriptor is open now, and the kernel holds the file once it is submitted, which
        // is done below.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        if pushed.is_err() {
            // Cannot be: there are as many entries as slots, and each is submitted at once.
            self.slots[at] = None;
            self.free.push(at);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        retried(|| self.ring.submit()).map(drop).map_err(|error| self.broken(error))
    }

    fn pop(&mut self, wait: bool) -> io::Result<Option<Completion>> {
        loop {
            if let Some(entry) = self.ring.completion().next() {
                let at = entry.user_data() as usize;
                let Some(slot) = self.slots.get_mut(at).and_then(Option::take) else { continue };
                self.free.push(at);
                let result = match entry.result() {
                    // The thread that had submitted it is gone.
                    errno if errno == -libc::ECANCELED => {
                        Err(io::Error::from_raw_os_error(libc::EINTR))
                    }
                    errno @ ..0 => Err(io::Error::from_raw_os_error(-errno)),
                    took => Ok(took.cast_unsigned() as usize),
                };
                return Ok(Some(Completion { request: slot.request, result }));
            }
            if !wait || self.free.len() == self.slots.len() {
                return Ok(None);
            }
            if let Some(errno) = self.broken {
                return Err(io::Error::from_raw_os_error(errno));
            }
            retried(|| self.ring.submit_and_wait(1)).map_err(|error| self.broken(error))?;
        }
    }
}

impl Drop for RingPort {
    fn drop(&mut self) {
        while matches!(self.pop(true), Ok(Some(_))) {}
        if self.free.len() == self.slots.len() {
            // Nothing is under way: the memory is ours again. Otherwise it stays leaked.
            drop(std::mem::take(&mut *self.slots));
        }
    }
}
