//! All runs, in turn: A B B A, so that what changes steadily on a machine meets both arms alike.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use tsdb::compact::{CancelToken, CompactOptions, Compactor};
use tsdb::vfs::{Io, OsVfs, Policy};
use tsdb_bench_harness::cgroup::Cgroups;

use super::arms::{Arm, Arms, Side};
use super::input::Input;
use super::model::{Report, Run};
use super::validity::{Invalid, Reference};
use super::workspace::Workspace;
use crate::commands::report::counted;
use crate::output::{UsageError, complain};
use crate::units::{display_bytes, display_count};

/// Between two lines about a run of minutes.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What all runs have in common.
pub(super) struct Session<'a> {
    pub(super) arms: &'a Arms,
    pub(super) input: &'a Input,
    pub(super) workspace: &'a Workspace,
    pub(super) cgroups: Option<&'a Cgroups>,
    pub(super) cancel: &'a CancelToken,
    /// Nothing is to be drawn or told.
    pub(super) quiet: bool,
}

impl Session<'_> {
    /// Makes all runs and adds them to `report`, until it is stopped.
    pub(super) fn run(&self, report: &mut Report) -> anyhow::Result<()> {
        if self.arms.has_command() {
            self.refuse_conflicts()?;
        }
        let order = order(report.settings.runs_per_arm);
        let mut progress = RunProgress::start(order.len(), self.quiet);
        let mut reference = None;
        for side in order {
            if self.cancel.is_cancelled() {
                break;
            }
            progress.begin(side);
            let run = self.one_run(side, &report.settings, reference.as_ref());
            let Some(run) = run? else { break };
            if let Some(Invalid::Failed { message, .. }) = run.invalid.first()
                && !report.runs.iter().any(|earlier| earlier.arm == side)
            {
                bail!("the {} failed at once: {message}", side.name());
            }
            progress.end(&run);
            if reference.is_none() && run.is_valid() {
                reference = self.reference(&run);
            }
            report.runs.push(run);
        }
        report.interrupted = self.cancel.is_cancelled();
        Ok(())
    }

    fn reference(&self, run: &Run) -> Option<Reference> {
        let is_ours = matches!(self.arms.get(run.arm), Arm::Merge { .. });
        let written = run.io.map(|io| io.written_bytes()).filter(|_| is_ours);
        Some(Reference { output: run.output.clone()?, written_bytes: written })
    }

    /// Where two sources hold different samples at one time, programs may each keep another one:
    /// then there is no telling whether both are right.
    fn refuse_conflicts(&self) -> anyhow::Result<()> {
        let dir = self.workspace.run()?;
        let output = dir.make("output")?;
        let (blocks, _): (Vec<PathBuf>, _) = self.input.copy_to(&dir.join("input"))?;
        let vfs = Arc::new(OsVfs::new(Io::probe(&output, Policy::Prefer)?));
        let compactor =
            Compactor::new(vfs, CompactOptions::default()).with_cancel(self.cancel.clone());
        let merged = compactor.merge(&blocks, &output)?;
        let conflicts = merged.ledger.superseded_conflicting;
        if conflicts > 0 {
            return Err(UsageError(format!(
                "the blocks hold {} other samples at equal times; which of them survives is up to \
                 each program, so results can't be compared: take blocks without such",
                display_count(conflicts)
            ))
            .into());
        }
        dir.remove()
    }
}

/// So many of each arm.
pub(super) fn order(runs_per_arm: u32) -> Vec<Side> {
    use Side::{Baseline, Candidate};
    let pattern = [Baseline, Candidate, Candidate, Baseline].into_iter().cycle();
    pattern.take(runs_per_arm as usize * 2).collect()
}

/// A bar on a terminal; one line a run in any case.
pub(super) struct RunProgress {
    bar: ProgressBar,
    quiet: bool,
    started: Instant,
    done: usize,
    all: usize,
}

impl RunProgress {
    pub(super) fn start(all: usize, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(all as u64) };
        let style = ProgressStyle::with_template("{msg:22} {wide_bar} {pos}/{len} runs, {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, quiet, started: Instant::now(), done: 0, all }
    }

    fn begin(&self, side: Side) {
        self.bar.set_message(format!("{} runs", side.name()));
    }

    /// Says now and then how far runs of a known length are, until the answer is dropped.
    pub(super) fn begin_long(&self, sides: &[Side], expected: Duration) -> Ticking {
        let names: Vec<&str> = sides.iter().map(|side| side.name()).collect();
        let names = names.join(" and ");
        self.bar.set_message(format!("{names} run"));
        let (stop, stopped) = mpsc::channel::<()>();
        let (bar, quiet) = (self.bar.clone(), self.quiet);
        let rounds_left = (self.all - self.done).div_ceil(sides.len().max(1)).saturating_sub(1);
        let begun = Instant::now();
        let thread = thread::spawn(move || {
            // Until the other end is dropped.
            while stopped.recv_timeout(TELL_EVERY) == Err(RecvTimeoutError::Timeout) {
                let rest = expected.saturating_sub(begun.elapsed());
                let rest = rest + expected * u32::try_from(rounds_left).unwrap_or(0);
                if !quiet {
                    let (run, left) = (begun.elapsed().as_secs(), left_words(rest.as_secs()));
                    bar.suspend(|| {
                        complain!("{names}: {run} s of {} s; {left}", expected.as_secs())
                    });
                }
            }
        });
        Ticking { stop: Some(stop), thread: Some(thread) }
    }

    pub(super) fn end(&mut self, run: &Run) {
        self.done += 1;
        self.bar.set_position(self.done as u64);
        if self.quiet {
            return;
        }
        let line = format!("{}; {}", self.told(run), self.left());
        self.bar.suspend(|| complain!("{line}"));
    }

    fn told(&self, run: &Run) -> String {
        let (number, all, arm) = (self.done, self.all, run.arm.name());
        let mut line = format!("run {number}/{all}, {arm}: {:.2} s", run.wall_seconds);
        if let Some(bytes) = run.peak(|sample| sample.memory?.cache_bytes) {
            line.push_str(&format!(", page cache up to {}", display_bytes(bytes)));
        }
        if let Some(invalid) = run.invalid.first() {
            line.push_str(&format!(", INVALID: {invalid}"));
        }
        line
    }

    /// What the runs that are left will take, if they are like those before.
    fn left(&self) -> String {
        let each = self.started.elapsed().as_secs_f64() / self.done.max(1) as f64;
        let seconds = (each * (self.all - self.done) as f64).round() as u64;
        if self.done == self.all { "done".to_owned() } else { left_words(seconds) }
    }
}

fn left_words(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("about {} left", counted(seconds, "second")),
        _ => format!("about {} left", counted(seconds.div_ceil(60), "minute")),
    }
}

/// Tells how far it is until it is dropped.
pub(super) struct Ticking {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Ticking {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for RunProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_take_turns_and_have_as_many_runs_each() {
        for runs in 1..9 {
            let order = order(runs);
            let baseline = order.iter().filter(|side| **side == Side::Baseline).count();
            assert_eq!((baseline, order.len()), (runs as usize, 2 * runs as usize));
        }
        let text: String = order(4).iter().map(|side| &side.name()[..1]).collect();
        assert_eq!(text, "bccbbccb");
    }
}
