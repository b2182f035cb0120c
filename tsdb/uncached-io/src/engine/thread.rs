//! A helper thread writes while the caller fills the next buffer.
//!
//! ```text
//!   caller --- jobs (filled) ---> helper --- pwrite
//!     ^                              |
//!     '------ done (empty) <---------'     at most `count_max` requests in the circle
//! ```
//!
//! One helper a file: writes that extend a file take its lock exclusively on ext4, so a second
//! one would only wait for the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::{BufferSupply, Buffers, Engine, EngineRefusal, SharedTarget};
use crate::buffer::AlignedBuf;
use crate::error::{Errno, Error};
use crate::request::Request;

/// Enough for a write loop without recursion.
const STACK_BYTES: usize = 128 << 10;

struct Done {
    request: Request,
    result: Result<(), Error>,
}

/// See the module.
pub(crate) struct ThreadEngine {
    /// `None` once the helper was told to end.
    jobs: Option<Sender<Request>>,
    /// Nobody waits for the file any more: what the helper has not begun, it leaves.
    is_abandoned: Arc<AtomicBool>,
    done: Receiver<Done>,
    helper: Option<JoinHandle<()>>,
    buffers: Buffers,
    in_flight: usize,
    failed: Option<Error>,
}

impl ThreadEngine {
    /// Starts the helper, if that can be done.
    pub(crate) fn start(target: SharedTarget, supply: BufferSupply) -> Result<Self, EngineRefusal> {
        // Room for all requests, so that handing one over never blocks.
        let (jobs, backlog) = crossbeam_channel::bounded::<Request>(supply.count_max);
        let (done_sender, done) = crossbeam_channel::bounded(supply.count_max);
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let abandoned = Arc::clone(&is_abandoned);
        let helper = std::thread::Builder::new()
            .name("uncached-io".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || write_all_jobs(&target, &backlog, &done_sender, &abandoned))
            .map_err(|error| EngineRefusal::Thread(Errno::of(&error)))?;
        Ok(Self {
            jobs: Some(jobs),
            is_abandoned,
            done,
            helper: Some(helper),
            buffers: Buffers::new(supply),
            in_flight: 0,
            failed: None,
        })
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn take_back(&mut self, done: Done) {
        self.in_flight -= 1;
        self.buffers.give_all(done.request);
        if let Err(error) = done.result {
            self.failed.get_or_insert(error);
        }
    }

    /// Waits for one request to come back.
    fn wait_for_one(&mut self) {
        match self.done.recv() {
            Ok(done) => self.take_back(done),
            // The helper died in a panic, and the buffers with it.
            Err(_) => self.join(),
        }
    }

    /// Ends the helper; a panic of its own goes on in the caller.
    fn join(&mut self) {
        self.jobs = None;
        self.in_flight = 0;
        if let Some(Err(panic)) = self.helper.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The helper: after the first error, and once nobody waits for the file, it writes nothing more, only
/// gives buffers back. So what it has written has no gap.
fn write_all_jobs(
    target: &SharedTarget,
    jobs: &Receiver<Request>,
    done: &Sender<Done>,
    is_abandoned: &AtomicBool,
) {
    let mut failed = false;
    for mut request in jobs {
        let is_left = failed || is_abandoned.load(Ordering::Acquire);
        let result = if is_left { Ok(()) } else { target.lock().write(&mut request) };
        failed |= result.is_err();
        if done.send(Done { request, result }).is_err() {
            return;
        }
    }
}

impl Engine for ThreadEngine {
    fn submit(&mut self, request: Request) -> Result<(), Error> {
        self.check()?;
        if self.in_flight >= self.buffers.count_max() {
            let began = Instant::now();
            self.wait_for_one();
            self.buffers.waited(began);
            self.check()?;
        }
        let sent = match &self.jobs {
            Some(jobs) => jobs.send(request).is_ok(),
            None => false,
        };
        if !sent {
            // It died in a panic.
            self.join();
        }
        assert!(sent, "the helper lives as long as its engine");
        self.in_flight += 1;
        Ok(())
    }

    fn acquire(&mut self) -> Result<AlignedBuf, Error> {
        while let Ok(done) = self.done.try_recv() {
            self.take_back(done);
        }
        self.check()?;
        if let Some(buf) = self.buffers.take(self.in_flight) {
            return Ok(buf);
        }
        let began = Instant::now();
        self.wait_for_one();
        self.buffers.waited(began);
        self.check()?;
        Ok(self.buffers.take(self.in_flight).unwrap_or_default())
    }

    fn drain(&mut self) -> Result<(), Error> {
        while self.in_flight > 0 {
            self.wait_for_one();
        }
        self.check()
    }

    fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    fn buffers_mut(&mut self) -> &mut Buffers {
        &mut self.buffers
    }
}

impl Drop for ThreadEngine {
    fn drop(&mut self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.jobs = None;
        while let Ok(done) = self.done.recv() {
            self.buffers.give_all(done.request);
        }
        self.join();
    }
}
