//! Builds the programs that are compared.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Builds a Go package of `testdata/judge`'s module as `target/judge/NAME` below `root`.
///
/// # Errors
/// If Go is missing or it does not build.
pub fn go(root: &Path, name: &str, package: &str) -> Result<PathBuf> {
    let dir = root.join("target/judge");
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let program = dir.join(name);
    eprintln!("building {name} (minutes, the first time)");
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(package);
    let status = go.current_dir(root.join("testdata/judge")).status();
    let status = status.context("the peer needs Go and its module cache")?;
    ensure!(status.success(), "{go:?}: {status}");
    Ok(program)
}

/// Builds a package of the workspace with its one program, for release; both have that name.
///
/// # Errors
/// If it does not build.
pub fn release(root: &Path, name: &str) -> Result<PathBuf> {
    let target = root.join("target");
    eprintln!("building {name}");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "-p", name, "--target-dir"]).arg(&target);
    let status = cargo.current_dir(root).status().with_context(|| format!("running {cargo:?}"))?;
    ensure!(status.success(), "{cargo:?}: {status}");
    Ok(target.join("release").join(name))
}
