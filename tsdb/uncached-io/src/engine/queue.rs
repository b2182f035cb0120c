//! Several writes under way at once, completing in any order.
//!
//! ```text
//!   caller --submit--> port: |req|req|req|  --pop--> judged: done -> idle buffers
//!                            ^ at most `count_max`     again -> back into the port
//!                                                      failed -> nothing more goes in
//! ```
//!
//! What a completion means is the [`Target`](crate::target::Target)'s to say. After the first failure the others under
//! way are awaited, so that the completed prefix in the error is final, and of several failures
//! the one that comes first in the file is reported.

use std::io;
use std::time::Instant;

use super::{BufferSupply, Buffers, Engine, SharedTarget};
use crate::buffer::AlignedBuf;
use crate::error::{Error, Operation};
use crate::request::Request;
use crate::sys::{RawFile, WriteFlags};
use crate::target::Verdict;

/// An attempt that is over.
pub(crate) struct Completion {
    pub(crate) request: Request,
    pub(crate) result: io::Result<usize>,
}

/// Makes attempts at writing, in any order. Owns a request from `push` until `pop` returns it.
pub(crate) trait Port: Send {
    /// Starts the next attempt of a request.
    ///
    /// # Errors
    ///
    /// If the port is out of order. It keeps the request then, for ever if need be.
    fn push(&mut self, request: Request, file: &dyn RawFile, flags: WriteFlags) -> io::Result<()>;

    /// An attempt that is over; `wait` for one if none is. `None` if nothing is over, or nothing
    /// is under way.
    ///
    /// # Errors
    ///
    /// If the port is out of order.
    fn pop(&mut self, wait: bool) -> io::Result<Option<Completion>>;
}

/// See the module.
pub(crate) struct QueueEngine<P: Port> {
    port: P,
    target: SharedTarget,
    buffers: Buffers,
    in_flight: usize,
    failed: Option<Error>,
}

impl<P: Port> QueueEngine<P> {
    pub(crate) fn new(port: P, target: SharedTarget, supply: BufferSupply) -> Self {
        Self { port, target, buffers: Buffers::new(supply), in_flight: 0, failed: None }
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn push(&mut self, request: Request) {
        let (target, offset) = (self.target.lock(), request.next_offset());
        let pushed = self.port.push(request, target.file(), target.flags());
        let error = pushed.map_err(|error| target.failed(Operation::Write, offset, &error));
        drop(target);
        match error {
            Ok(()) => self.in_flight += 1,
            Err(error) => self.fail(error),
        }
    }

    /// Takes back what is over, after waiting for it if need be; whether there was anything.
    fn take_back(&mut self, wait: bool) -> bool {
        let Completion { mut request, result } = match self.port.pop(wait) {
            Ok(Some(completion)) => completion,
            Ok(None) => return false,
            Err(error) => {
                // The requests stay with the port, which knows whether they are still in use.
                self.in_flight = 0;
                let error = {
                    let target = self.target.lock();
                    target.failed(Operation::Write, target.completed_bytes(), &error)
                };
                self.fail(error);
                return false;
            }
        };
        self.in_flight -= 1;
        let verdict = self.target.lock().judge(&mut request, result);
        match verdict {
            Verdict::Again if self.failed.is_none() => {
                self.push(request);
                return true;
            }
            Verdict::Done | Verdict::Again => {}
            Verdict::Failed(error) => self.fail(error),
        }
        self.buffers.give_all(request);
        true
    }

    /// Of several failures, the first in the file stays.
    fn fail(&mut self, error: Error) {
        let earlier = |known: &Error| known.offset_bytes() <= error.offset_bytes();
        if !self.failed.as_ref().is_some_and(earlier) {
            self.failed = Some(error);
        }
    }

    /// After a failure: waits for all others, so that what is known to be written is final.
    fn settle(&mut self) -> Result<(), Error> {
        if self.failed.is_some() && self.in_flight > 0 {
            while self.in_flight > 0 && self.take_back(true) {}
        }
        if let Some(failed) = &mut self.failed {
            failed.set_completed_bytes(self.target.lock().completed_bytes());
        }
        self.check()
    }

    /// Waits while `more` says so.
    fn wait_while(&mut self, more: impl Fn(&Self) -> bool) -> Result<(), Error> {
        while self.failed.is_none() && more(self) {
            self.take_back(true);
        }
        self.settle()
    }
}

impl<P: Port> Engine for QueueEngine<P> {
    fn submit(&mut self, mut request: Request) -> Result<(), Error> {
        self.check()?;
        let is_full = |engine: &Self| {
            engine.in_flight >= engine.buffers.count_max()
                || (engine.in_flight > 0 && !engine.target.lock().takes_many())
        };
        if is_full(self) {
            let began = Instant::now();
            self.wait_while(is_full)?;
            self.buffers.waited(began);
        }
        {
            let mut target = self.target.lock();
            target.prepare(&mut request);
            if self.buffers.count_max() > 1 {
                target.extend_ahead(request.next_offset() + request.left() as u64);
            }
        }
        self.push(request);
        self.settle()
    }

    fn acquire(&mut self) -> Result<AlignedBuf, Error> {
        while self.take_back(false) {}
        self.settle()?;
        if let Some(buf) = self.buffers.take(self.in_flight) {
            return Ok(buf);
        }
        let began = Instant::now();
        self.wait_while(|engine| engine.in_flight >= engine.buffers.count_max())?;
        self.buffers.waited(began);
        Ok(self.buffers.take(self.in_flight).unwrap_or_default())
    }

    fn drain(&mut self) -> Result<(), Error> {
        self.wait_while(|engine| engine.in_flight > 0)
    }

    fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    fn buffers_mut(&mut self) -> &mut Buffers {
        &mut self.buffers
    }
}

/// Waits for what is under way; what the port can't give back, it keeps.
impl<P: Port> Drop for QueueEngine<P> {
    fn drop(&mut self) {
        while self.in_flight > 0 {
            let Ok(Some(over)) = self.port.pop(true) else { return };
            self.in_flight -= 1;
            self.buffers.give_all(over.request);
        }
    }
}
