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

/// What was attempted, as far as it matters to faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Sync,
    /// Bytes are written: at least two, so that there is a half.
    Write,
    /// Something else that takes room.
    Create,
    /// A file goes, which makes room.
    Remove,
    Other,
}

impl Attempt {
    fn of(effect: &Effect) -> Self {
        match effect {
            effect if is_sync(effect) => Self::Sync,
            Effect::Write { bytes, .. } if bytes.len() > 1 => Self::Write,
            effect if needs_room(effect) => Self::Create,
            Effect::RemoveFile { .. } => Self::Remove,
            _ => Self::Other,
        }
    }
}

/// The error of everything after [`FaultKind::Stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process was stopped by the test")]
pub struct Stopped;

/// A fault, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    fault: Option<Fault>,
    attempts: Vec<Attempt>,
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

    /// Where a fault of this kind would have struck, of all that was attempted.
    pub(super) fn strikable(&self, kind: FaultKind) -> Vec<usize> {
        let at = |number: &usize| match self.attempts.get(*number..) {
            Some([attempt, rest @ ..]) => match kind {
                FaultKind::Stop | FaultKind::DeviceError => true,
                FaultKind::ShortWrite => *attempt == Attempt::Write,
                FaultKind::FailingSync => *attempt == Attempt::Sync,
                // It is full from there on, and strikes what needs room next.
                FaultKind::DiskFull => std::iter::once(attempt)
                    .chain(rest)
                    .find(|next| !matches!(next, Attempt::Sync | Attempt::Other))
                    .is_some_and(|next| *next != Attempt::Remove),
                FaultKind::ReadError => false,
            },
            _ => false,
        };
        (0..self.attempts.len()).filter(at).collect()
    }

    /// Whether what [`Plan::admit`] refused last was a sync that has failed.
    pub(super) fn failed_sync(&self) -> bool {
        self.failed_sync
    }

    /// Whether only half of the next effect's bytes get written.
    pub(super) fn is_short(&self) -> bool {
        !self.stopped
            && self.fault == Some(Fault { at: self.attempts.len(), kind: FaultKind::ShortWrite })
    }

    /// That half was written; the device fails now.
    pub(super) fn fail_short(&mut self) -> io::Error {
        self.attempts.push(Attempt::Write);
        self.fired = true;
        Errno::IO.into()
    }

    /// Lets an effect happen, or says why it does not.
    pub(super) fn admit(&mut self, effect: &Effect) -> io::Result<()> {
        self.failed_sync = false;
        self.refuse_stopped()?;
        let now = self.attempts.len();
        self.attempts.push(Attempt::of(effect));
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
