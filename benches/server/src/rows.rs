//! The cases, and what is asked of them.

use tsdb_bench_harness::versus::Figure;

use crate::args::Size;

/// A case, and figures of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) work: Work,
    pub(crate) figures: Vec<Figure>,
}

/// What is done with a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Write(Write),
    Read(Read),
}

/// Samples that are sent to an empty server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    pub(crate) message: Message,
    pub(crate) series: usize,
    /// Of each series.
    pub(crate) samples: usize,
    /// Requests a second of all senders; as fast as answers come without it.
    pub(crate) rate: Option<f64>,
}

/// A version of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    V1,
    V2,
}

/// A day that is read from a directory made before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) series: usize,
    /// As chunks, not as samples.
    pub(crate) is_streamed: bool,
    /// How often in a run; the median counts.
    pub(crate) times: usize,
}

/// Milliseconds between the samples that are sent.
pub(crate) const STEP_MS: i64 = 15_000;
/// The same of a day that is read.
pub(crate) const DAY_STEP_MS: i64 = 60_000;
pub(crate) const DAY_SAMPLES: usize = 1440;
/// Series of a request, as Prometheus sends them by default.
pub(crate) const REQUEST_SERIES: usize = 2000;

/// All cases of a size.
pub(crate) fn rows(size: Size) -> Vec<Row> {
    let (series, samples, day_series, rate) = match size {
        Size::Smoke => (1000, 10, 50, 200.0),
        Size::Small => (10_000, 60, 500, 50.0),
        Size::Middle => (50_000, 60, 5000, 50.0),
    };
    let write = |message, rate| Work::Write(Write { message, series, samples, rate });
    let read = |is_streamed| Work::Read(Read { series: day_series, is_streamed, times: 5 });
    let row = |name, what, work, figures| Row { name, what, work, figures };
    vec![
        row("write-1", "remote write 1.0", write(Message::V1, None), write_figures()),
        row("write-2", "remote write 2.0", write(Message::V2, None), write_figures()),
        row("paced-2", "2.0 at a steady rate", write(Message::V2, Some(rate)), paced_figures()),
        row("read-stream", "a day as streamed chunks", read(true), read_figures(Some(4.0))),
        row("read-samples", "a day as samples", read(false), read_figures(None)),
    ]
}

fn write_figures() -> Vec<Figure> {
    vec![
        Figure::higher("samples_per_cpu_second", "k samples/s a core", 1e3, Some(4.0)),
        Figure::higher("samples_per_second", "k samples/s", 1e3, None),
        resident(Some(3.0)),
        Figure::lower("anon_peak_bytes", "MiB, anonymous", MIB, None),
        Figure::lower("request_p50_us", "ms", 1e3, None),
        Figure::lower("request_p99_us", "ms", 1e3, Some(2.0)),
    ]
}

fn paced_figures() -> Vec<Figure> {
    vec![
        Figure::lower("cpu_seconds", "CPU s", 1.0, None),
        resident(None),
        Figure::lower("request_p50_us", "ms", 1e3, None),
        Figure::lower("request_p99_us", "ms", 1e3, Some(2.0)),
    ]
}

fn read_figures(target: Option<f64>) -> Vec<Figure> {
    vec![
        Figure::lower("read_seconds", "s", 1.0, target),
        Figure::lower("read_cpu_seconds", "CPU s", 1.0, None),
        Figure::lower("answer_bytes", "MiB", MIB, None),
        resident(None),
    ]
}

const MIB: f64 = 1_048_576.0;

fn resident(target: Option<f64>) -> Figure {
    Figure::lower("resident_peak_bytes", "MiB", MIB, target)
}
