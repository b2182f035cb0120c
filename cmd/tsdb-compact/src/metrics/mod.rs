//! Metrics of a command that works long: Prometheus's names where it has one, ours beside them.
//!
//! ```text
//!  compactions   prometheus_tsdb_compaction*     counted here, as blocks are written
//!  job           tsdb_compactor_*                read when asked: I/O, progress, output's pages
//!  process       process_*, prometheus_build_info
//!  container     container_*                     opt-in: files of the cgroup, cAdvisor's names
//!        \
//!         registry ──> textfile: FILE, replaced whole, every few seconds and at the end
//! ```

mod compactions;
mod container;
mod job;
mod process;
mod teller;
mod textfile;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Args;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use prometheus_client::registry::Registry;
use tsdb::compact::{Merged, Progress};
use tsdb::vfs::Io;

use self::compactions::{Compactions, is_vertical};
use self::container::ContainerCollector;
use self::job::{JobCollector, Outputs};
use self::process::ProcessCollector;
use self::textfile::TextFile;
use crate::output::{UsageError, complain};

/// How often the file is written.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Where metrics go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
pub(crate) struct MetricsArgs {
    /// Write metrics to this file, every few seconds and at the end, in the format of
    /// node_exporter's textfile collector. It is replaced whole.
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
    /// Memory, pressure and writes of this process's cgroup as well, under cAdvisor's names.
    #[arg(long, requires = "metrics_file")]
    metrics_container: bool,
}

impl MetricsArgs {
    /// Whether metrics were asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.metrics_file.is_some()
    }
}

/// The metrics of one command. Counts whether or not a file was asked for; the file is written for
/// the last time when this is dropped.
pub(crate) struct Metrics {
    compactions: Compactions,
    outputs: Outputs,
    writer: Option<Writer>,
}

/// A thread that writes the file until its channel closes.
struct Writer {
    closing: Sender<()>,
    thread: JoinHandle<()>,
}

impl Metrics {
    /// Begins to write, if a file was asked for.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn start(
        args: &MetricsArgs,
        io: &Io,
        progress: Arc<Progress>,
    ) -> Result<Self, UsageError> {
        let (compactions, outputs) = (Compactions::default(), Outputs::default());
        let Some(path) = &args.metrics_file else {
            return Ok(Self { compactions, outputs, writer: None });
        };
        let mut registry = Registry::default();
        compactions.register(&mut registry);
        registry.register_collector(Box::new(ProcessCollector));
        if args.metrics_container {
            registry.register_collector(Box::new(ContainerCollector::new()));
        }
        let job = JobCollector::new(io.clone(), progress, outputs.clone());
        registry
            .sub_registry_with_label(("mode".into(), job.mode().into()))
            .register_collector(Box::new(job));
        let file = TextFile::new(path, registry);
        file.write().map_err(|error| {
            UsageError(format!("--metrics-file {} can't be written: {error}", path.display()))
        })?;
        let (closing, closed) = bounded::<()>(0);
        let thread = std::thread::spawn(move || {
            while closed.recv_timeout(WRITE_EVERY) == Err(RecvTimeoutError::Timeout) {
                // What fails now and then is tried again; the last time is told.
                let _ = file.write();
            }
            if let Err(error) = file.write() {
                complain!("the metrics can't be written to {}: {error}", file.path().display());
            }
        });
        Ok(Self { compactions, outputs, writer: Some(Writer { closing, thread }) })
    }

    /// A compaction of `sources` begins, and the one before it, if any, is over.
    pub(crate) fn begin(&self, sources: &[PathBuf]) {
        self.compactions.begin(is_vertical(sources));
    }

    /// The compaction that was begun last is over.
    pub(crate) fn end(&self) {
        self.compactions.end();
    }

    /// What a compaction wrote.
    pub(crate) fn wrote(&self, merged: &Merged) {
        self.compactions.wrote(merged);
        if let Some(block) = &merged.block {
            self.outputs.add(block.path().to_owned());
        }
    }

    /// A compaction failed.
    pub(crate) fn failed(&self) {
        self.compactions.failed();
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.compactions.end();
        if let Some(Writer { closing, thread }) = self.writer.take() {
            drop(closing);
            // It ends with its channel; a panic of it has been printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
