//! Blocks to compact, and the program in a cgroup.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::cgroup::Cgroup;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tsdb-compact");

/// Blocks made with `tsdb-compact generate`; the directory they are in.
pub(crate) fn generate(flags: &[&str]) -> TempDir {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["generate", "--interval", "15s", "--samples", "480"]).args(flags);
    let output = command.arg("--output").arg(dir.path().join("data")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dir
}

/// Copies a directory with all that is in it; how many bytes that was.
pub(crate) fn copy(from: &Path, to: &Path) -> u64 {
    fs::create_dir_all(to).unwrap();
    let copied = entries(from).into_iter().map(|path| {
        let copy_of_it = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &copy_of_it) } else { fs::copy(&path, copy_of_it).unwrap() }
    });
    copied.sum()
}

/// What is in `dir`, by name.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
    found.sort();
    found
}

/// The blocks in `dir`.
pub(crate) fn blocks(dir: &Path) -> Vec<PathBuf> {
    entries(dir).into_iter().filter(|path| path.join("meta.json").exists()).collect()
}

/// Chunk files and index of a block: name and content.
pub(crate) fn content(block: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = entries(&block.join("chunks")).into_iter().chain([block.join("index")]);
    files
        .map(|path| (path.strip_prefix(block).unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect()
}

/// Runs the program in a cgroup of its own until it has done what it should; the most of the page
/// cache that was charged to it at any moment. `None`, said aloud, without cgroups.
pub(crate) fn cache_taken(command: &str, paths: &[PathBuf], flags: &[&str]) -> Option<u64> {
    // The program's own pages are there before, and so they are not charged to the group.
    assert!(Command::new(PROGRAM).arg("--help").output().unwrap().status.success());
    let group = Cgroup::new()?;
    let before = group.cache_bytes().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.procs());
    shell.arg(PROGRAM).arg(command).args(paths).args(flags);
    let mut child = shell.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let (mut most, mut samples) = (0, 0);
    let status = loop {
        most = most.max(group.cache_bytes().unwrap());
        samples += 1;
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    assert!(status.success(), "{command} {flags:?}: {status}");
    assert!(samples > 50, "only {samples} samples were taken while it ran");
    Some(most.max(group.cache_bytes().unwrap()).saturating_sub(before))
}
