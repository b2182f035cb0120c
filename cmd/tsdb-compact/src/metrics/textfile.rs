//! A file in Prometheus's text format that is replaced whole: no reader sees half of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

/// A registry and the file that it goes to.
pub(super) struct TextFile {
    path: PathBuf,
    /// Beside it, under a name that the textfile collector passes over.
    temporary: PathBuf,
    registry: Arc<Registry>,
}

impl TextFile {
    pub(super) fn new(path: &Path, registry: Arc<Registry>) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!("{name}.{}.tmp", std::process::id()));
        Self { path: path.to_owned(), temporary, registry }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what the metrics are now. Not synced: after a power cut they would be old anyway.
    pub(super) fn write(&self) -> io::Result<()> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).map_err(io::Error::other)?;
        let written =
            fs::write(&self.temporary, text).and_then(|()| fs::rename(&self.temporary, &self.path));
        if written.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(&self.temporary);
        }
        written
    }
}
