//! From blocks to stdout, whatever of it can't be read being named and counted.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use tsdb::query::{Matcher, Querier, Samples, SeriesSet, ValueType};

use super::{Format, OpenBlocks, SampleArgs, Writer, writer};
use crate::args::GlobalArgs;
use crate::commands::report::counted;
use crate::output::{Outcome, Stdout, complain, stdout, stdout_is_read};
use crate::units::display_count;

/// How many bytes are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;

/// How many samples there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Series with at least one sample.
    pub(crate) series: u64,
    pub(crate) floats: u64,
    pub(crate) histograms: u64,
    pub(crate) float_histograms: u64,
    /// Blocks, series and chunks that could not be read.
    pub(crate) unreadable: u64,
}

impl Totals {
    fn samples(&self) -> u64 {
        self.floats + self.histograms + self.float_histograms
    }

    fn add(&mut self, value_type: ValueType) {
        match value_type {
            ValueType::Float => self.floats += 1,
            ValueType::Histogram => self.histograms += 1,
            ValueType::FloatHistogram => self.float_histograms += 1,
        }
    }

    pub(super) fn write_json(&self, out: &mut String) {
        let totals = serde_json::json!({
            "series": self.series,
            "samples": self.samples(),
            "floats": self.floats,
            "histograms": self.histograms,
            "floatHistograms": self.float_histograms,
            "unreadable": self.unreadable,
        });
        let _ = writeln!(out, "{{\"totals\":{totals}}}");
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = display_count;
        write!(f, "{} series, {}", count(self.series), counted(self.samples(), "sample"))?;
        if self.histograms + self.float_histograms > 0 {
            write!(f, " ({}", counted(self.floats, "float"))?;
            write!(f, ", {}", counted(self.histograms, "histogram"))?;
            write!(f, ", {})", counted(self.float_histograms, "float histogram"))?;
        }
        match self.unreadable {
            0 => Ok(()),
            1 => f.write_str("; 1 block, series or chunk could not be read"),
            more => write!(f, "; {} blocks, series or chunks could not be read", count(more)),
        }
    }
}

/// Writes the samples that any of the selectors selects to stdout, and their totals: to stderr, or
/// to stdout where they are all that was asked for.
pub(crate) fn print_selected<M: AsRef<[Matcher]>>(
    open: &OpenBlocks,
    selectors: &[M],
    args: &SampleArgs,
    global: &GlobalArgs,
) -> anyhow::Result<Outcome> {
    let format = if global.json { Format::Json } else { args.format };
    let mut stream = Stream {
        writer: (!args.count).then(|| writer(format)),
        totals: Totals::default(),
        buffer: String::with_capacity(WRITE_BYTES + WRITE_BYTES / 4),
        out: stdout(),
    };
    open.problems.iter().for_each(|problem| stream.report(problem));
    match Querier::new(&open.blocks).select_any(selectors, args.range()) {
        Ok(set) => stream.run(set)?,
        Err(error) => stream.report(&error),
    }
    stream.end(format)
}

struct Stream {
    /// None where only totals are wanted.
    writer: Option<Box<dyn Writer>>,
    totals: Totals,
    buffer: String,
    out: Stdout,
}

impl Stream {
    fn report(&mut self, error: &impl std::fmt::Display) {
        self.totals.unreadable += 1;
        complain!("could not be read: {error}");
    }

    fn run(&mut self, mut set: SeriesSet<'_>) -> io::Result<()> {
        let mut samples = Samples::new();
        // Whoever pipes a dump into `head` need not wait for the rest of it.
        while stdout_is_read() {
            let series = match set.next() {
                Ok(Some(series)) => series,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.report(&error);
                    continue;
                }
            };
            if let Some(writer) = &mut self.writer {
                writer.series(series.labels());
            }
            series.samples(&mut samples);
            self.series(&mut samples)?;
        }
        Ok(())
    }

    fn series(&mut self, samples: &mut Samples<'_>) -> io::Result<()> {
        let before = self.totals.samples();
        while stdout_is_read() {
            match samples.next() {
                Ok(Some(value_type)) => {
                    self.totals.add(value_type);
                    if let Some(writer) = &mut self.writer {
                        writer.sample(samples, value_type, &mut self.buffer);
                    }
                }
                Ok(None) => break,
                Err(error) => self.report(&error),
            }
            if self.buffer.len() >= WRITE_BYTES {
                self.flush()?;
            }
        }
        self.totals.series += u64::from(self.totals.samples() > before);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(self.buffer.as_bytes())?;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self, format: Format) -> anyhow::Result<Outcome> {
        let totals = self.totals;
        match &mut self.writer {
            Some(writer) => writer.end(&totals, &mut self.buffer),
            None if format == Format::Json => totals.write_json(&mut self.buffer),
            None => {
                let _ = writeln!(self.buffer, "{totals}");
            }
        }
        self.flush()?;
        self.out.flush()?;
        if !stdout_is_read() {
            complain!("the output is no longer read: the rest was not looked at");
        } else if self.writer.is_some() {
            complain!("{totals}");
        }
        Ok(if totals.unreadable == 0 { Outcome::Done } else { Outcome::Findings })
    }
}
