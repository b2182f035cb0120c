//! Metrics of a command that works long: Prometheus's names where it has one, ours beside them.
//!
//! ```text
//!  compactions   prometheus_tsdb_compaction*     counted here, as blocks are written
//!  job           tsdb_compactor_*                read when asked: I/O, progress, output's pages
//!  process       process_*, prometheus_build_info
//!  container     container_*                     opt-in: files of the cgroup, cAdvisor's names
//!        \
//!         registry ──> textfile: FILE, replaced whole, every few seconds and at the end
//!                  └─> listen:   HTTP, while it works
//! ```

mod compactions;
mod container;
mod job;
mod listen;
mod process;
mod teller;
mod textfile;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use clap::{ArgGroup, Args};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use prometheus_client::registry::Registry;
use tsdb::compact::{Merged, Progress};
use tsdb::vfs::Io;

use self::compactions::{Compactions, is_vertical};
use self::container::ContainerCollector;
use self::job::{JobCollector, Outputs};
use self::listen::Listener;
use self::process::ProcessCollector;
use self::textfile::TextFile;
use crate::output::{UsageError, complain};

/// How often the file is written.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Where metrics go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Metrics")]
#[command(group = ArgGroup::new("metrics_to").multiple(true))]
pub(crate) struct MetricsArgs {
    /// Write metrics to this file, every few seconds and at the end, in the format of
    /// node_exporter's textfile collector. It is replaced whole.
    #[arg(long, value_name = "FILE", group = "metrics_to")]
    metrics_file: Option<PathBuf>,
    /// Answer /metrics at this address while it works; without a host, on all interfaces.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT", group = "metrics_to")]
    listen_address: Option<String>,
    /// Memory, pressure and writes of this process's cgroup as well, under cAdvisor's names.
    #[arg(long, requires = "metrics_to")]
    metrics_container: bool,
}

impl MetricsArgs {
    /// Whether metrics were asked for.
    pub(crate) fn is_given(&self) -> bool {
        self.metrics_file.is_some() || self.listen_address.is_some()
    }
}

/// The metrics of one command. Counts whether or not somebody asked; the file is written for the
/// last time, and nobody is answered any more, when this is dropped.
pub(crate) struct Metrics {
    compactions: Compactions,
    outputs: Outputs,
    writer: Option<Writer>,
    listener: Option<Listener>,
}

/// A thread that writes the file until its channel closes.
struct Writer {
    closing: Sender<()>,
    thread: JoinHandle<()>,
}

impl Metrics {
    /// Begins to write and to answer, as far as that was asked for.
    ///
    /// # Errors
    /// If the file can't be written, or nobody can listen at the address.
    pub(crate) fn start(
        args: &MetricsArgs,
        io: &Io,
        progress: Arc<Progress>,
    ) -> Result<Self, UsageError> {
        let (compactions, outputs) = (Compactions::default(), Outputs::default());
        if !args.is_given() {
            return Ok(Self { compactions, outputs, writer: None, listener: None });
        }
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
        let registry = Arc::new(registry);
        let writer = args.metrics_file.as_ref().map(|path| Writer::start(path, &registry));
        let listener = args.listen_address.as_ref().map(|address| listen(address, &registry));
        let (writer, listener) = (writer.transpose()?, listener.transpose()?);
        Ok(Self { compactions, outputs, writer, listener })
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
        drop(self.listener.take());
        if let Some(Writer { closing, thread }) = self.writer.take() {
            drop(closing);
            // It ends with its channel; a panic of it has been printed.
            let _ = thread.join();
        }
    }
}

impl Writer {
    fn start(path: &Path, registry: &Arc<Registry>) -> Result<Self, UsageError> {
        let file = TextFile::new(path, Arc::clone(registry));
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
        Ok(Self { closing, thread })
    }
}

/// Says where, so that port 0 can be asked for.
fn listen(address: &str, registry: &Arc<Registry>) -> Result<Listener, UsageError> {
    let listener = Listener::start(address, Arc::clone(registry));
    let listener = listener.map_err(|error| {
        UsageError(format!("--web.listen-address {address}: nobody can listen there: {error}"))
    })?;
    complain!("metrics: http://{}/metrics", listener.address());
    Ok(listener)
}

#[cfg(test)]
mod tests;
