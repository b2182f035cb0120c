//! One file for each group of cases.

pub(crate) mod depth;
pub(crate) mod hedgedb;
pub(crate) mod iggy;
pub(crate) mod jitter;
pub(crate) mod neighbour;
pub(crate) mod scan;
pub(crate) mod sequential;

use std::path::PathBuf;

use anyhow::Result;
use uncached_io::{EngineKind, Io, Policy, engines};

use crate::child::sink::SinkSpec;
use crate::child::write::WriteSpec;
use crate::context::{Context, remove};
use crate::run::Run;
use crate::size::ODD_BYTES;

/// The arm that everything of ours is compared with.
pub(crate) const BUF_WRITER: &str = "BufWriter + fsync";

/// What an engine is called in the tables.
pub(crate) fn engine_name(kind: EngineKind) -> String {
    format!("uncached-io {kind}")
}

/// The engine that the crate chooses by itself in the directory of the bench.
pub(crate) fn default_engine(context: &Context) -> Result<EngineKind> {
    Ok(Io::probe(&context.dir, Policy::Prefer)?.engine())
}

/// The engines that work in the directory, and what to say of the others.
pub(crate) fn working_engines(context: &Context) -> (Vec<EngineKind>, Vec<String>) {
    let (mut working, mut skipped) = (Vec::new(), Vec::new());
    for report in engines(&context.dir) {
        match report.result {
            Ok(()) => working.push(report.kind),
            Err(why) => skipped.push(format!("{}: {why}", engine_name(report.kind))),
        }
    }
    (working, skipped)
}

/// A sequential write: what differs between the benches.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) len_bytes: u64,
    pub(crate) call_bytes: u64,
    pub(crate) sink: SinkSpec,
    pub(crate) produce_nanos_per_byte: f64,
    pub(crate) sync_calls: bool,
    pub(crate) reader: Option<PathBuf>,
    pub(crate) memory_bytes: Option<u64>,
}

impl Write {
    /// Of a whole file of the plan, without anything else.
    pub(crate) fn new(context: &Context, sink: SinkSpec, call_bytes: u64) -> Self {
        Self {
            len_bytes: context.plan.file_bytes + ODD_BYTES,
            call_bytes,
            sink,
            produce_nanos_per_byte: 0.0,
            sync_calls: false,
            reader: None,
            memory_bytes: None,
        }
    }

    pub(crate) fn run(&self, context: &Context) -> Result<Run> {
        let file = context.fresh("write");
        let run = context.measured(&context.writer(&self.spec(file.clone()))?, self.memory_bytes);
        remove(&file)?;
        run
    }

    pub(crate) fn spec(&self, file: PathBuf) -> WriteSpec {
        WriteSpec {
            file,
            len_bytes: self.len_bytes,
            call_bytes: self.call_bytes,
            sink: self.sink.clone(),
            produce_nanos_per_byte: self.produce_nanos_per_byte,
            sync_calls: self.sync_calls,
            reader: self.reader.clone(),
        }
    }
}
