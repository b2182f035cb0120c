//! Progress of long work, on a terminal only: bytes done of bytes planned, rate, time left.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tsdb::compact::{Phase, Progress};

const REDRAW: Duration = Duration::from_millis(100);

/// Draws a compaction's counters until it is dropped.
pub(crate) struct ProgressLine {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressLine {
    /// Starts drawing to stderr if that is a terminal and `quiet` is not asked for.
    pub(crate) fn start(progress: Arc<Progress>, quiet: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        if quiet || !std::io::stderr().is_terminal() {
            return Self { stop, thread: None };
        }
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || draw(&progress, &seen));
        Self { stop, thread: Some(thread) }
    }
}

fn draw(progress: &Progress, stop: &AtomicBool) {
    let bar = bytes_bar(false);
    let mut phase = None;
    while !stop.load(Ordering::Relaxed) {
        let now = progress.phase();
        if phase != Some(now) {
            bar.set_message(phase_name(now));
            phase = Some(now);
        }
        if progress.done_bytes() < bar.position() {
            // The next compaction has begun: its rate is its own.
            bar.reset();
        }
        bar.set_length(progress.planned_bytes());
        bar.set_position(progress.done_bytes());
        std::thread::park_timeout(REDRAW);
    }
    bar.finish_and_clear();
}

/// A bar of bytes on stderr; hidden where that is no terminal, or if `quiet`.
pub(crate) fn bytes_bar(quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template(
        "{msg:16} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// What a phase is called.
pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Open => "opening sources",
        Phase::Symbols => "merging symbols",
        Phase::Copy => "copying chunks",
        Phase::Index => "writing postings",
        Phase::Verify => "verifying output",
        Phase::Publish => "publishing",
        _ => "working",
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
