//! Whether two arms wrote the same block.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tsdb_bench_harness::cache;

/// The one block in a directory.
///
/// # Errors
/// If there is none, or more than one.
pub(crate) fn only_block(dir: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.join("meta.json").exists() {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "{} blocks in {} instead of one", found.len(), dir.display());
    found.pop().context("no block")
}

/// Compares chunk files and index byte by byte. The metas differ by their ULIDs.
///
/// # Errors
/// With the first difference.
pub(crate) fn equal(left: &Path, right: &Path) -> Result<()> {
    let (ours, theirs) = (contents(left)?, contents(right)?);
    ensure!(ours == theirs, "{} has {ours:?}, {} {theirs:?}", left.display(), right.display());
    for name in ours {
        same_bytes(&left.join(&name), &right.join(&name))?;
    }
    Ok(())
}

/// Index and chunk files, relative to the block.
fn contents(block: &Path) -> Result<Vec<PathBuf>> {
    let files = cache::files(block)?;
    let names = files.iter().filter_map(|path| path.strip_prefix(block).ok());
    let names = names.filter(|name| name.starts_with("chunks") || name == &Path::new("index"));
    Ok(names.map(Path::to_owned).collect())
}

fn same_bytes(left: &Path, right: &Path) -> Result<()> {
    const BUFFER_BYTES: usize = 1 << 20;
    let open = |path: &Path| -> Result<_> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        Ok((file.metadata()?.len(), BufReader::with_capacity(BUFFER_BYTES, file)))
    };
    let ((left_len, mut a), (right_len, mut b)) = (open(left)?, open(right)?);
    let both = format!("{} and {}", left.display(), right.display());
    ensure!(left_len == right_len, "{both} have {left_len} and {right_len} bytes");
    let (mut x, mut y) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let mut offset = 0;
    while offset < left_len {
        let wanted = usize::try_from((left_len - offset).min(BUFFER_BYTES as u64))?;
        let (Some(x), Some(y)) = (x.get_mut(..wanted), y.get_mut(..wanted)) else { break };
        a.read_exact(x)?;
        b.read_exact(y)?;
        if x != y {
            let same = x.iter().zip(&*y).take_while(|(p, q)| p == q).count() as u64;
            anyhow::bail!("{both} differ at byte {}", offset + same);
        }
        offset += wanted as u64;
    }
    Ok(())
}
