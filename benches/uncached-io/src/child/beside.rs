//! Another program's run, with somebody reading meanwhile as beside a writer of this program.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{print, write};
use crate::run::Run;

/// What to run, and what to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BesideSpec {
    /// Prints a [`Run`].
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Read at random meanwhile, past the page cache.
    pub(crate) reader: PathBuf,
}

pub(crate) fn main(spec: &str) -> Result<()> {
    let spec: BesideSpec = serde_json::from_str(spec).context("what to run")?;
    let done = AtomicBool::new(false);
    let run = thread::scope(|scope| -> Result<Run> {
        let reader = scope.spawn(|| write::read(&spec.reader, &done));
        let mut command = Command::new(&spec.program);
        let output = command.args(&spec.arguments).stderr(Stdio::inherit()).output();
        done.store(true, Ordering::Relaxed);
        let output = output.with_context(|| spec.program.display().to_string())?;
        ensure!(output.status.success(), "{}: {}", spec.program.display(), output.status);
        let mut run: Run = serde_json::from_slice(&output.stdout).context("what it printed")?;
        run.reader = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        Ok(run)
    })?;
    print(&run)
}
