//! The neighbour's own process.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::pages::HotPages;
use super::{Phase, Spec};
use crate::latency::Latencies;

/// What is said when the pages are hot.
pub(super) const READY: &str = "ready";

/// How often the hot pages are counted.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// Is the neighbour: `spec` is JSON. Each line of standard input ends a phase, whose figures are
/// printed as a line of JSON; the end of standard input ends the work.
///
/// # Errors
/// If a file can't be mapped, or nobody listens.
pub fn serve(spec: &str) -> Result<()> {
    let spec: Spec = serde_json::from_str(spec).context("the neighbour's specification")?;
    let pages = HotPages::map(&spec)?;
    (0..pages.len()).for_each(|number| pages.touch(number));
    let lowest = AtomicU64::new(1.0_f64.to_bits());
    let done = AtomicBool::new(false);
    say(READY)?;
    thread::scope(|scope| {
        scope.spawn(|| count(&pages, &lowest, &done));
        let result = answer_queries(&spec, &pages, &lowest, &lines());
        done.store(true, Ordering::Relaxed);
        result
    })
}

/// Keeps the lowest share of hot pages in memory, until it is done.
fn count(pages: &HotPages, lowest: &AtomicU64, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        if let Ok(share) = pages.kept_share()
            && share < f64::from_bits(lowest.load(Ordering::Relaxed))
        {
            lowest.store(share.to_bits(), Ordering::Relaxed);
        }
        thread::sleep(COUNT_EVERY);
    }
}

/// Each line of standard input as a message.
fn lines() -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn answer_queries(
    spec: &Spec,
    pages: &HotPages,
    lowest: &AtomicU64,
    lines: &Receiver<()>,
) -> Result<()> {
    let period = Duration::from_secs_f64(1.0 / spec.queries_per_second);
    let mut random = Random(spec.seed | 1);
    let mut due = Instant::now();
    let mut latencies = Latencies::default();
    let (mut began, mut faults) = (Instant::now(), major_faults()?);
    loop {
        match lines.try_recv() {
            Ok(()) => {
                let kept_share = pages.kept_share()?;
                let seen = f64::from_bits(lowest.swap(1.0_f64.to_bits(), Ordering::Relaxed));
                let latency = latencies.take();
                say(&serde_json::to_string(&Phase {
                    seconds: began.elapsed().as_secs_f64(),
                    queries: latency.as_ref().map_or(0, |latency| latency.count),
                    latency,
                    major_faults: major_faults()?.saturating_sub(faults),
                    kept_share,
                    kept_share_min: seen.min(kept_share),
                })?)?;
                (began, faults) = (Instant::now(), major_faults()?);
            }
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        // A query that is due while the one before is still under way has been waiting since.
        let wait = due.saturating_duration_since(Instant::now());
        let from = if wait.is_zero() { due } else { thread_sleep(wait) };
        for _ in 0..spec.pages_per_query {
            pages.touch(random.below(pages.len()));
        }
        latencies.record(from.elapsed());
        due += period;
    }
}

/// Sleeps, and says when that was over.
fn thread_sleep(wait: Duration) -> Instant {
    thread::sleep(wait);
    Instant::now()
}

/// Of this process so far: field 12 of proc_pid_stat(5).
fn major_faults() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    let behind_name = stat.rsplit_once(')').context("/proc/self/stat has no name")?.1;
    let field = behind_name.split_whitespace().nth(9).context("/proc/self/stat is short")?;
    field.parse().context("the count of major faults")
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Numbers that look random (Marsaglia's xorshift); must not start with 0.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        let mut x = self.0;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0 = x;
        usize::try_from(x % bound.max(1) as u64).unwrap_or(0)
    }
}
