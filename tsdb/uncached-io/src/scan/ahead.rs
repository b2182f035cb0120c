//! The helpers of a scan, and the order of what they bring.

use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use super::Fetch;
use super::windows::Windows;
use crate::buffer::AlignedBuf;
use crate::error::Error;

/// Enough for a read loop without recursion.
const STACK_BYTES: usize = 128 << 10;

/// A window that was read, or not.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) buf: AlignedBuf,
    /// How many bytes should have come.
    pub(super) wanted: usize,
    /// Where in `buf` those lie that did.
    pub(super) data: Result<Range<usize>, Error>,
}

/// Reads one window on the calling thread.
pub(super) fn read(
    source: &dyn Fetch,
    offset_bytes: u64,
    wanted: usize,
    mut buf: AlignedBuf,
) -> Arrived {
    let data = source.fetch(offset_bytes, wanted, &mut buf);
    Arrived { buf, wanted, data }
}

#[derive(Debug)]
struct Job {
    number: u64,
    offset_bytes: u64,
    wanted: usize,
    buf: AlignedBuf,
}

/// A job's number and what became of it; a panic of its own is passed on.
type Done = (u64, std::thread::Result<Arrived>);

/// See the module above.
#[derive(Debug)]
pub(super) struct Ahead {
    jobs: Sender<Job>,
    /// The helpers' end of `jobs`, to take back what none has begun.
    backlog: Receiver<Job>,
    done: Receiver<Done>,
    helpers: Vec<JoinHandle<()>>,
    /// Came before their turn.
    early: Vec<(u64, Arrived)>,
    idle: Vec<AlignedBuf>,
    /// Buffers that may still be asked for.
    to_take: usize,
    next_job: u64,
    next_turn: u64,
}

impl Ahead {
    /// `None` if no thread could be started; fewer than `threads` will do.
    pub(super) fn start(source: &Arc<dyn Fetch>, buffers: usize, threads: usize) -> Option<Self> {
        // Room for all buffers, so that handing one over never blocks.
        let (jobs, backlog) = crossbeam_channel::bounded::<Job>(buffers);
        let (done_sender, done) = crossbeam_channel::bounded(buffers);
        let mut helpers = Vec::new();
        for _ in 0..threads {
            let (source, jobs, done) = (Arc::clone(source), backlog.clone(), done_sender.clone());
            let helper = std::thread::Builder::new()
                .name("uncached-io-scan".to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || read_all_jobs(&*source, &jobs, &done));
            match helper {
                Ok(helper) => helpers.push(helper),
                Err(_) => break,
            }
        }
        (!helpers.is_empty()).then_some(Self {
            jobs,
            backlog,
            done,
            helpers,
            early: Vec::new(),
            idle: Vec::new(),
            to_take: buffers,
            next_job: 0,
            next_turn: 0,
        })
    }

    /// Takes a buffer back that was handed out.
    pub(super) fn give(&mut self, buf: AlignedBuf) {
        if buf.capacity() > 0 {
            self.idle.push(buf);
        }
    }

    /// Issues what there are buffers for, and waits for the next window in order. The caller
    /// knows that there is one.
    pub(super) fn next(
        &mut self,
        windows: &mut Windows,
        mut take: impl FnMut() -> AlignedBuf,
    ) -> Arrived {
        while self.to_take > 0 || !self.idle.is_empty() {
            let Some((offset_bytes, wanted)) = windows.next() else { break };
            let buf = self.idle.pop().unwrap_or_else(|| {
                self.to_take -= 1;
                take()
            });
            let job = Job { number: self.next_job, offset_bytes, wanted, buf };
            self.next_job += 1;
            let sent = self.jobs.send(job).is_ok();
            assert!(sent, "both ends of the queue are ours");
        }
        assert!(self.next_turn < self.next_job, "a window is asked for while there is one");
        let turn = self.next_turn;
        self.next_turn += 1;
        loop {
            if let Some(at) = self.early.iter().position(|(number, _)| *number == turn) {
                return self.early.swap_remove(at).1;
            }
            match self.done.recv() {
                Ok((number, Ok(arrived))) => self.early.push((number, arrived)),
                Ok((_, Err(panic))) => std::panic::resume_unwind(panic),
                Err(_) => unreachable!("helpers live as long as their jobs' sender, which is ours"),
            }
        }
    }

    /// Waits for what is under way and takes all buffers back.
    pub(super) fn end(self) -> Vec<AlignedBuf> {
        let Self { jobs, backlog, done, helpers, early, mut idle, .. } = self;
        idle.extend(backlog.try_iter().map(|job| job.buf));
        // With the last sender gone, helpers end after the job at hand.
        drop((jobs, backlog));
        idle.extend(early.into_iter().map(|(_, arrived)| arrived.buf));
        // A panic in what nobody asks for any more is let go, its buffer with it.
        idle.extend(done.iter().filter_map(|(_, read)| read.ok()).map(|arrived| arrived.buf));
        for helper in helpers {
            // Panics were caught on the way.
            let _ = helper.join();
        }
        idle
    }
}

fn read_all_jobs(source: &dyn Fetch, jobs: &Receiver<Job>, done: &Sender<Done>) {
    for Job { number, offset_bytes, wanted, buf } in jobs {
        // A helper that died would leave the consumer waiting for its window.
        let read = || read(source, offset_bytes, wanted, buf);
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        if done.send((number, read)).is_err() {
            return;
        }
    }
}
