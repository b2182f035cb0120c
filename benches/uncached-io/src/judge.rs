//! The writers of Prometheus 3.15, called by the Go program in `testdata/judge`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::child::beside::BesideSpec;
use crate::context::{Context, remove};
use crate::run::Run;
use crate::size::ODD_BYTES;

/// One of its writers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GoWriter {
    /// `tsdb/fileutil.NewDirectIOWriter`.
    Direct,
    /// `tsdb/chunks.NewWriter` with `WithUncachedIO`: it preallocates and adds checksums too.
    Chunks,
}

impl GoWriter {
    pub(crate) const ALL: [Self; 2] = [Self::Direct, Self::Chunks];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "Go NewDirectIOWriter",
            Self::Chunks => "Go chunks.NewWriter",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Chunks => "chunks",
        }
    }

    /// Writes one file (one segment, in a directory, for chunks); `reader` is read at random
    /// meanwhile.
    pub(crate) fn run(
        self,
        context: &Context,
        judge: &Path,
        call_bytes: u64,
        produce_nanos_per_byte: f64,
        memory_bytes: Option<u64>,
        reader: Option<&Path>,
    ) -> Result<Run> {
        let dest = context.fresh("go");
        let mut arguments =
            ["directwrite", "--writer", self.argument()].map(str::to_owned).to_vec();
        for (flag, value) in [
            ("--bytes", (context.plan.file_bytes + ODD_BYTES).to_string()),
            ("--call-bytes", call_bytes.to_string()),
            ("--produce-nanos-per-byte", produce_nanos_per_byte.to_string()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        arguments.push(dest.to_str().context("a path that is no text")?.to_owned());
        let command = if let Some(reader) = reader {
            let (program, reader) = (judge.to_owned(), reader.to_owned());
            context.beside(&BesideSpec { program, arguments, reader })?
        } else {
            let mut command = Command::new(judge);
            command.args(arguments);
            command
        };
        let run = context.measured(&command, memory_bytes);
        remove(&dest)?;
        run
    }
}

/// Builds the Go program, or takes the one that is given.
pub(crate) fn find(root: &Path, given: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(given) = given {
        return given.canonicalize().map_err(|error| format!("{}: {error}", given.display()));
    }
    let judge = root.join("target/judge/judge");
    eprintln!("building the Go writers of Prometheus (minutes, the first time)");
    let mut build = Command::new("go");
    build.args(["build", "-buildvcs=false", "-o"]).arg(&judge).arg(".");
    match build.current_dir(root.join("testdata/judge")).status() {
        Ok(status) if status.success() => Ok(judge),
        Ok(status) => Err(format!("go build: {status}")),
        Err(error) => Err(format!("go: {error}")),
    }
}
