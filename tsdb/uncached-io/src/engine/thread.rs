//! A helper thread writes while the caller fills the next buffer.
//!
//! ```text
//!   caller --- jobs (filled) ---> helper --- pwrite
//!     ^                              |
//!     '------ done (empty) <---------'     at most `count_max` buffers in the circle
//! ```
//!
//! One helper a file: writes that extend a file take its lock exclusively on ext4, so a second
//! one would only wait for the first.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::{BufferSupply, Engine, SharedTarget};
use crate::buffer::AlignedBuf;
use crate::error::Error;
use crate::target::Filled;

/// Enough for a write loop without recursion.
const STACK_BYTES: usize = 128 << 10;

struct Done {
    buf: AlignedBuf,
    result: Result<(), Error>,
}

/// See the module.
pub(crate) struct ThreadEngine {
    /// `None` once the helper was told to end.
    jobs: Option<Sender<Filled>>,
    /// The helper's own end of `jobs`, to take back what it has not begun.
    backlog: Receiver<Filled>,
    done: Receiver<Done>,
    helper: Option<JoinHandle<()>>,
    supply: BufferSupply,
    idle: Vec<AlignedBuf>,
    /// Buffers of ours anywhere: idle, with the writer, or under way.
    owned: usize,
    in_flight: usize,
    failed: Option<Error>,
    waits: u64,
    wait_time: Duration,
}

impl ThreadEngine {
    /// `None` if no thread could be started. The writer holds one buffer already.
    pub(crate) fn start(target: SharedTarget, supply: BufferSupply) -> Option<Self> {
        // Room for all buffers, so that handing one over never blocks.
        let (jobs, backlog) = crossbeam_channel::bounded::<Filled>(supply.count_max);
        let (done_sender, done) = crossbeam_channel::bounded(supply.count_max);
        let to_write = backlog.clone();
        let helper = std::thread::Builder::new()
            .name("uncached-io".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || write_all_jobs(&target, &to_write, &done_sender))
            .ok()?;
        Some(Self {
            jobs: Some(jobs),
            backlog,
            done,
            helper: Some(helper),
            supply,
            idle: Vec::new(),
            owned: 1,
            in_flight: 0,
            failed: None,
            waits: 0,
            wait_time: Duration::ZERO,
        })
    }

    fn check(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn take_back(&mut self, done: Done) {
        self.in_flight -= 1;
        self.idle.push(done.buf);
        if let Err(error) = done.result {
            self.failed.get_or_insert(error);
        }
    }

    /// Waits for one buffer to come back.
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

/// The helper: after the first error it writes nothing more, only gives buffers back.
fn write_all_jobs(target: &SharedTarget, jobs: &Receiver<Filled>, done: &Sender<Done>) {
    let mut failed = false;
    for mut filled in jobs {
        let result = if failed { Ok(()) } else { target.lock().write(&mut filled) };
        failed |= result.is_err();
        if done.send(Done { buf: filled.buf, result }).is_err() {
            return;
        }
    }
}

impl Engine for ThreadEngine {
    fn submit(&mut self, filled: Filled) -> Result<(), Error> {
        self.check()?;
        let sent = match &self.jobs {
            Some(jobs) => jobs.send(filled).is_ok(),
            None => false,
        };
        assert!(sent, "the helper lives as long as its engine");
        self.in_flight += 1;
        Ok(())
    }

    fn acquire(&mut self) -> Result<AlignedBuf, Error> {
        while let Ok(done) = self.done.try_recv() {
            self.take_back(done);
        }
        self.check()?;
        if let Some(buf) = self.idle.pop() {
            return Ok(buf);
        }
        if self.owned < self.supply.count_max {
            self.owned += 1;
            return Ok(self.supply.take());
        }
        let began = Instant::now();
        while self.idle.is_empty() && self.in_flight > 0 {
            self.wait_for_one();
        }
        self.waits += 1;
        self.wait_time += began.elapsed();
        self.check()?;
        Ok(self.idle.pop().unwrap_or_else(|| self.supply.take()))
    }

    fn drain(&mut self) -> Result<(), Error> {
        while self.in_flight > 0 {
            self.wait_for_one();
        }
        self.check()
    }

    fn waited(&self) -> (u64, Duration) {
        (self.waits, self.wait_time)
    }
}

impl Drop for ThreadEngine {
    fn drop(&mut self) {
        while let Ok(unbegun) = self.backlog.try_recv() {
            self.supply.pool.give(unbegun.buf);
        }
        self.jobs = None;
        while let Ok(done) = self.done.recv() {
            self.supply.pool.give(done.buf);
        }
        self.join();
        for buf in self.idle.drain(..) {
            self.supply.pool.give(buf);
        }
    }
}
