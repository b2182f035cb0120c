//! What goes wrong, and when.

use std::io;

use rustix::io::Errno;

use super::Effect;

/// Something that goes wrong at one effect, counted from 0 over all that are attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The number of the effect (for [`FaultKind::ReadError`], of the read).
    pub at: usize,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The process is killed: this effect and every later one fail, reads too.
    Stop,
    /// The device fails this once, and nothing is done.
    DeviceError,
    /// The disk is full: from here on nothing can be created or written until a file goes.
    DiskFull,
    /// Half of the bytes are written, then the device fails.
    ShortWrite,
    /// A sync fails. What was not durable is lost, though later syncs succeed.
    FailingSync,
    /// A read fails.
    ReadError,
}

impl FaultKind {
    /// Every kind that strikes an effect.
    pub const AT_EFFECTS: [Self; 5] =
        [Self::Stop, Self::DeviceError, Self::DiskFull, Self::ShortWrite, Self::FailingSync];
}

/// The error of everything after [`FaultKind::Stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process was stopped by the test")]
pub struct Stopped;

/// A fault, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    fault: Option<Fault>,
    attempts: usize,
    reads: usize,
    fired: bool,
    stopped: bool,
    full: bool,
    failed_sync: bool,
}

impl Plan {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    pub(super) fn fired(&self) -> bool {
        self.fired
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn reads(&self) -> usize {
        self.reads
    }

    /// Whether what [`Plan::admit`] refused last was a sync that has failed.
    pub(super) fn failed_sync(&self) -> bool {
        self.failed_sync
    }

    /// Whether only half of the next effect's bytes get written.
    pub(super) fn is_short(&self) -> bool {
        !self.stopped
            && self.fault == Some(Fault { at: self.attempts, kind: FaultKind::ShortWrite })
    }

    /// That half was written; the device fails now.
    pub(super) fn fail_short(&mut self) -> io::Error {
        self.attempts += 1;
        self.fired = true;
        Errno::IO.into()
    }

    /// Lets an effect happen, or says why it does not.
    pub(super) fn admit(&mut self, effect: &Effect) -> io::Result<()> {
        self.failed_sync = false;
        self.refuse_stopped()?;
        let now = self.attempts;
        self.attempts += 1;
        match self.fault.filter(|fault| fault.at == now).map(|fault| fault.kind) {
            Some(FaultKind::Stop) => {
                self.fired = true;
                self.stopped = true;
            }
            Some(FaultKind::DeviceError) => {
                self.fired = true;
                return Err(Errno::IO.into());
            }
            Some(FaultKind::DiskFull) => self.full = true,
            Some(FaultKind::FailingSync) if is_sync(effect) => {
                self.fired = true;
                self.failed_sync = true;
                return Err(Errno::IO.into());
            }
            _ => {}
        }
        self.refuse_stopped()?;
        if matches!(effect, Effect::RemoveFile { .. }) {
            self.full = false;
        }
        if self.full && needs_room(effect) {
            self.fired = true;
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    }

    /// Lets a read happen, or says why it does not.
    pub(super) fn admit_read(&mut self) -> io::Result<()> {
        self.refuse_stopped()?;
        let now = self.reads;
        self.reads += 1;
        if self.fault == Some(Fault { at: now, kind: FaultKind::ReadError }) {
            self.fired = true;
            return Err(Errno::IO.into());
        }
        Ok(())
    }

    fn refuse_stopped(&self) -> io::Result<()> {
        if self.stopped { Err(io::Error::other(Stopped)) } else { Ok(()) }
    }
}

fn is_sync(effect: &Effect) -> bool {
    matches!(effect, Effect::Sync { .. } | Effect::SyncFile { .. } | Effect::SyncDir { .. })
}

fn needs_room(effect: &Effect) -> bool {
    matches!(effect, Effect::Create { .. } | Effect::Write { .. } | Effect::CreateDir { .. })
}
