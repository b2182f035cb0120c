//! A directory for output: made where it is missing, and removed again if nothing came to stand in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Vfs, VfsError};

/// A directory for output, which is removed again when this is dropped and nothing came to stand in
/// it, with those above it that were made for it.
pub struct OutputDir {
    vfs: Arc<dyn Vfs>,
    /// Those that were made, the outermost first.
    made: Vec<PathBuf>,
}

impl OutputDir {
    /// Makes `dir`, and what is missing above it, durable. What is there already is left as it is.
    ///
    /// # Errors
    /// A directory can't be made or synced; those that were made are removed again.
    pub fn create(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Self, VfsError> {
        let mut missing: Vec<&Path> = dir
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        missing.reverse();
        let mut output = Self { vfs, made: Vec::new() };
        for path in missing {
            output.vfs.create_dir(path)?;
            output.made.push(path.to_owned());
            let above = path.parent().filter(|above| !above.as_os_str().is_empty());
            output.vfs.sync_dir(above.unwrap_or(Path::new(".")))?;
        }
        Ok(output)
    }
}

impl Drop for OutputDir {
    fn drop(&mut self) {
        for dir in self.made.iter().rev() {
            // Fails, as it should, where there is something in it.
            if self.vfs.remove_dir(dir).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::vfs::sim::{Fault, FaultKind, SimVfs};

    fn create(vfs: &SimVfs, dir: &Path) -> Result<OutputDir, VfsError> {
        OutputDir::create(Arc::new(vfs.clone()), dir)
    }

    #[test]
    fn one_that_stays_empty_goes_again() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        let (empty, full) = (dir.path().join("a/b/c"), dir.path().join("d/e"));
        drop(create(&vfs, &empty).unwrap());
        assert!(!dir.path().join("a").exists());

        let output = create(&vfs, &full).unwrap();
        fs::write(full.join("file"), "x").unwrap();
        drop(output);
        assert!(full.join("file").exists());

        drop(create(&vfs, &full).unwrap());
        assert!(full.exists(), "was there before");
    }

    #[test]
    fn what_was_made_is_durable() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        let output = create(&vfs, &dir.path().join("a/b")).unwrap();
        let made = vfs.effect_count();
        let mut images = 0;
        for image in vfs.images(made, 1).filter(|image| image.effects() == made) {
            assert!(image.tree().paths().any(|path| path == Path::new("a/b")), "{image}");
            images += 1;
        }
        assert!(images > 0);
        drop(output);
    }

    #[test]
    fn a_fault_leaves_nothing_behind() {
        for at in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            let vfs = SimVfs::new(dir.path()).unwrap();
            vfs.inject(Fault { at, kind: FaultKind::DeviceError });
            assert!(create(&vfs, &dir.path().join("a/b")).is_err(), "effect {at}");
            assert!(!dir.path().join("a").exists(), "effect {at}");
        }
    }
}
