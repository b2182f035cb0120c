//! Finds the Go program of `testdata/judge`, which asks the real Prometheus.
//!
//! `TSDB_JUDGE_BIN` names a directory with `judge`, built before. Without it `judge` is built into
//! `target/judge/`, for which Go must be installed. Where it can't be had the tests that need it
//! are skipped, loudly; `TSDB_JUDGES=required` makes that a failure.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `judge COMMAND`, ready for more arguments; `None` after saying why the test is skipped.
///
/// # Panics
/// If there is no judge and `TSDB_JUDGES=required`.
pub(crate) fn command(name: &str) -> Option<Command> {
    match find() {
        Ok(program) => {
            let mut command = Command::new(program);
            command.arg(name);
            Some(command)
        }
        Err(why) => {
            let required = std::env::var("TSDB_JUDGES").is_ok_and(|value| value == "required");
            assert!(!required, "judge {name} is required: {why}");
            say(&format!("SKIPPED, not judged by the real Prometheus: {why}"));
            None
        }
    }
}

fn find() -> Result<PathBuf, String> {
    if let Some(dir) = std::env::var_os("TSDB_JUDGE_BIN") {
        let program = Path::new(&dir).join("judge");
        let found = program.is_file();
        return found.then_some(program).ok_or("no `judge` in TSDB_JUDGE_BIN".to_owned());
    }
    if Command::new("go").arg("version").output().is_err() {
        return Err("Go is not installed".to_owned());
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dir = workspace.join("target/judge");
    // Test binaries run side by side; one builds, the others wait.
    fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let lock = File::create(dir.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let program = dir.join("judge");
    let build = Command::new("go")
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(workspace.join("testdata/judge"))
        .output()
        .map_err(|error| format!("it does not build: {error}"))?;
    if build.status.success() {
        Ok(program)
    } else {
        Err(format!("it does not build:\n{}", String::from_utf8_lossy(&build.stderr)))
    }
}

/// `TSDB_JUDGE_SEED`, or 1: what every run of the tests has to pass. The long form takes others.
pub(crate) fn seed_or_first() -> u64 {
    if std::env::var_os("TSDB_JUDGE_SEED").is_some() { seed() } else { 1 }
}

/// `TSDB_JUDGE_SEED`, or one from the clock. Printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("TSDB_JUDGE_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    say(&format!("TSDB_JUDGE_SEED={seed}"));
    seed
}

/// To stderr past the test harness, which keeps what a passing test prints.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// SplitMix64: small, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from `low` to `high`, both inclusive.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
