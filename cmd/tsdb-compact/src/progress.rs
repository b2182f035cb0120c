//! Progress of long work, on a terminal only: bytes done of bytes planned, rate, time left.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tsdb::compact::{Phase, Progress};

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
    let style = ProgressStyle::with_template(
        "{msg:18} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
    );
    let bar = ProgressBar::new(0);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    while !stop.load(Ordering::Relaxed) {
        bar.set_length(progress.planned_bytes());
        bar.set_position(progress.done_bytes());
        bar.set_message(phase_name(progress.phase()));
        std::thread::sleep(Duration::from_millis(100));
    }
    bar.finish_and_clear();
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
            let _ = thread.join();
        }
    }
}
