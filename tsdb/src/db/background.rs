//! The threads of a database.
//!
//! | thread | waits for | does |
//! |---|---|---|
//! | `tsdb-flush` | a commit that makes the head ready | flushes, then wakes `tsdb-compact` |
//! | `tsdb-compact` | a flush, or the interval | settles lineage, compacts until there is no plan |
//! | `tsdb-reload` | the interval | maps head chunks, lists blocks, applies retention |
//!
//! Each has its own, so none waits for another one's work. The first two, and the threads that they
//! start, are nice (on Linux, where that is a thread's own): commits and queries have the processors
//! first. What fails is tried again after a pause
//! that doubles, from a second to a minute, as in Prometheus.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::DbError;
use super::shared::Shared;

/// A commit or a query is waited for by somebody, a flush only by memory, a compaction by nobody.
const FLUSH_NICENESS: i32 = 5;
const COMPACT_NICENESS: i32 = 10;

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Wakes a thread; however often it is told before that wakes up, it wakes once.
#[derive(Debug, Default)]
pub(super) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    told: bool,
    stopped: bool,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// It was told to.
    Told,
    /// The time was up.
    TimeUp,
    /// It is to stop for good.
    Stopped,
}

impl Signal {
    /// Wakes whoever waits, or is the next to.
    pub(super) fn notify(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Told once is enough: a commit that finds it so pays nothing more.
        if !state.told {
            state.told = true;
            self.changed.notify_all();
        }
    }

    /// Ends every wait from now on.
    pub(super) fn stop(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        self.changed.notify_all();
    }

    /// Waits until it is told to go on, for `timeout` at most.
    pub(super) fn wait(&self, timeout: Duration) -> Woken {
        self.wait_until(timeout, |state| state.told)
    }

    /// Waits out the whole of `pause`, unless it is to stop.
    fn pause(&self, pause: Duration) -> Woken {
        self.wait_until(pause, |_| false)
    }

    fn wait_until(&self, timeout: Duration, ready: impl Fn(&SignalState) -> bool) -> Woken {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.stopped {
                return Woken::Stopped;
            }
            if ready(&state) {
                state.told = false;
                return Woken::Told;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Woken::TimeUp;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Has the calling thread, and those that it starts, run after others when processors are scarce.
fn step_back(niceness: i32) {
    // Elsewhere it is the whole process that would step back.
    #[cfg(target_os = "linux")]
    if niceness > 0
        && let Err(error) = rustix::process::nice(niceness)
    {
        tracing::warn!(%error, niceness, "a background thread can't step back");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

/// The running threads.
#[derive(Debug)]
pub(super) struct Background {
    threads: Vec<JoinHandle<()>>,
    reload_signal: Arc<Signal>,
}

impl Background {
    /// Starts them.
    ///
    /// # Errors
    /// The OS has no thread to give.
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, DbError> {
        let reload_signal = Arc::new(Signal::default());
        let mut background =
            Self { threads: Vec::new(), reload_signal: Arc::clone(&reload_signal) };
        let outcome = background
            .spawn("tsdb-flush", FLUSH_NICENESS, shared, run_flushes)
            .and_then(|()| {
                background.spawn("tsdb-compact", COMPACT_NICENESS, shared, run_compactions)
            })
            .and_then(|()| {
                let run = move |shared: &Shared| run_reloads(shared, &reload_signal);
                background.spawn("tsdb-reload", 0, shared, run)
            });
        if outcome.is_err() {
            background.stop(shared);
        }
        outcome.map(|()| background)
    }

    fn spawn(
        &mut self,
        name: &str,
        niceness: i32,
        shared: &Arc<Shared>,
        run: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<(), DbError> {
        let shared = Arc::clone(shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                step_back(niceness);
                run(&shared);
            })
            .map_err(DbError::os("start a thread"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Stops them and waits until they have.
    pub(super) fn stop(&mut self, shared: &Shared) {
        shared.cancel.cancel();
        for signal in [&shared.flush_signal, &shared.compact_signal, &*self.reload_signal] {
            signal.stop();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the database has panicked");
            }
        }
    }
}

fn run_flushes(shared: &Shared) {
    let mut backoff = Backoff::default();
    loop {
        // A head that became ready without a commit here (at replay) is found by the interval.
        let woken = shared.flush_signal.wait(shared.options.block_reload_interval);
        if woken == Woken::Stopped {
            return;
        }
        if !shared.auto_compact.load(Ordering::Acquire) {
            shared.metrics.compactions_skipped.inc_by(u64::from(woken == Woken::Told));
            continue;
        }
        if woken == Woken::Told {
            shared.metrics.compactions_triggered.inc();
        }
        let outcome = shared.flush();
        if outcome.is_err() {
            shared.metrics.compactions_failed.inc();
        }
        if backoff.after("flush", outcome.map(drop), &shared.flush_signal) == Woken::Stopped {
            return;
        }
    }
}

fn run_compactions(shared: &Shared) {
    let mut backoff = Backoff::default();
    loop {
        let woken = shared.compact_signal.wait(shared.options.block_reload_interval);
        if woken == Woken::Stopped {
            return;
        }
        shared.metrics.compactions_triggered.inc();
        if !shared.auto_compact.load(Ordering::Acquire) {
            shared.metrics.compactions_skipped.inc();
            continue;
        }
        let outcome = shared.compact_blocks().map(drop);
        if backoff.after("compaction", outcome, &shared.compact_signal) == Woken::Stopped {
            return;
        }
    }
}

fn run_reloads(shared: &Shared, signal: &Signal) {
    while signal.wait(shared.options.block_reload_interval) != Woken::Stopped {
        if let Err(error) = shared.head.map_chunks() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "head chunks were not written"
            );
        }
        let outcome = shared.reload(&mut shared.lock_layout(), &Default::default());
        if let Err(error) = outcome {
            tracing::error!(error = &error as &dyn std::error::Error, "reload failed");
        }
    }
}

/// A pause that doubles while something fails.
#[derive(Debug, Default)]
struct Backoff {
    pause: Duration,
}

impl Backoff {
    fn after(&mut self, what: &str, outcome: Result<(), DbError>, signal: &Signal) -> Woken {
        match outcome {
            Ok(()) => {
                self.pause = Duration::ZERO;
                Woken::Told
            }
            Err(error) if error.is_cancelled() => Woken::Told,
            Err(error) => {
                self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                let pause = self.pause;
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "{what} failed; the next one is tried in {pause:?}");
                signal.pause(pause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_kept_until_somebody_waits_and_then_used_up() {
        let signal = Signal::default();
        signal.notify();
        signal.notify();
        assert_eq!(signal.wait(Duration::from_secs(60)), Woken::Told);
        assert_eq!(signal.wait(Duration::from_millis(1)), Woken::TimeUp);
        signal.notify();
        assert_eq!(signal.pause(Duration::from_millis(1)), Woken::TimeUp);
        assert_eq!(signal.wait(Duration::from_secs(60)), Woken::Told);
        signal.stop();
        assert_eq!(signal.wait(Duration::from_secs(60)), Woken::Stopped);
        assert_eq!(signal.pause(Duration::from_secs(60)), Woken::Stopped);
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_success() {
        let signal = Signal::default();
        signal.stop();
        let mut backoff = Backoff::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let error = std::io::Error::other("test");
            let outcome = Err(DbError::Os { action: "test", source: error });
            assert_eq!(backoff.after("test", outcome, &signal), Woken::Stopped);
            pauses.push(backoff.pause.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.after("test", Ok(()), &signal);
        assert_eq!(backoff.pause, Duration::ZERO);
        // What was stopped is no failure.
        assert_eq!(backoff.after("test", Err(DbError::Closed), &signal), Woken::Told);
        assert_eq!(backoff.pause, Duration::ZERO);
    }
}
