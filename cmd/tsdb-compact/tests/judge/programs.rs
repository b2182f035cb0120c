//! Builds the judges: the Go program of `testdata/judge`, `prometheus` and `promtool`.
//!
//! | variable | |
//! |---|---|
//! | `TSDB_JUDGES=required` | a judge that can't be had is a failure, not a skipped test |
//! | `TSDB_JUDGE_BIN=DIR` | built programs lie there; nothing is built |
//! | `TSDB_JUDGE_SEED=N` | seed of random sets and queries; otherwise the clock |
//! | `TSDB_JUDGE_SETS=N` | how many random sets, 50 if unset |

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The built judges.
pub(crate) struct Programs {
    dir: PathBuf,
}

/// Go packages, each with the name of its program.
const PACKAGES: [(&str, &str); 3] = [
    ("judge", "."),
    ("promtool", "github.com/prometheus/prometheus/cmd/promtool"),
    ("prometheus", "github.com/prometheus/prometheus/cmd/prometheus"),
];

/// The judges, built once per process; `None` after a line on stderr saying why not.
///
/// # Panics
/// If they can't be had and `TSDB_JUDGES=required`.
pub(crate) fn get() -> Option<&'static Programs> {
    static BUILT: OnceLock<Result<Programs, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(programs) => Some(programs),
        Err(why) => {
            skip("not judged by the real Prometheus", why);
            None
        }
    }
}

/// Says on stderr that something was not judged, and why.
///
/// # Panics
/// If `TSDB_JUDGES=required`.
pub(crate) fn skip(what: &str, why: &str) {
    let required = std::env::var("TSDB_JUDGES").is_ok_and(|value| value == "required");
    assert!(!required, "the judges are required, but {what}: {why}");
    // Not `eprintln`: the harness keeps the output of a test that passes to itself.
    let line = format!("SKIPPED, {what}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn build() -> Result<Programs, String> {
    if let Some(dir) = std::env::var_os("TSDB_JUDGE_BIN") {
        let dir = PathBuf::from(dir);
        for (name, _) in PACKAGES {
            if !dir.join(name).is_file() {
                return Err(format!("{} does not exist", dir.join(name).display()));
            }
        }
        return Ok(Programs { dir });
    }
    if Command::new("go").arg("version").output().is_err() {
        return Err("Go is not installed".to_owned());
    }
    let dir = workspace().join("target/judge");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    // Test binaries run side by side; one builds, the others wait.
    let lock = File::create(dir.join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    for (name, package) in PACKAGES {
        let output = Command::new("go")
            .args(["build", "-buildvcs=false", "-o"])
            .arg(dir.join(name))
            .arg(package)
            .current_dir(workspace().join("testdata/judge"))
            .output()
            .map_err(|error| format!("go build {package}: {error}"))?;
        if !output.status.success() {
            return Err(format!("go build {package}: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(Programs { dir })
}

impl Programs {
    /// A command that runs `judge COMMAND`.
    pub(crate) fn judge(&self, command: &str) -> Command {
        let mut judge = Command::new(self.dir.join("judge"));
        judge.arg(command);
        judge
    }

    /// A command that runs promtool.
    pub(crate) fn promtool(&self) -> Command {
        Command::new(self.dir.join("promtool"))
    }

    /// Path of the server.
    pub(crate) fn prometheus(&self) -> PathBuf {
        self.dir.join("prometheus")
    }
}

/// The root of the repository.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `TSDB_JUDGE_SEED`, or one from the clock. Printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let seed = number("TSDB_JUDGE_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos())
    });
    let _ = std::io::stderr().write_all(format!("TSDB_JUDGE_SEED={seed}\n").as_bytes());
    seed
}

/// The number in an environment variable, if it is set.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// Runs to the end and returns stdout; what went wrong is in the panic's message.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    checked(command, output)
}

/// As [`run`], with `input` on stdin.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // Beside the reading: the child answers before it has read everything.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    });
    checked(command, output)
}

fn checked(command: &Command, output: Output) -> String {
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        stdout.get(..4000).unwrap_or(&stdout),
    );
    stdout
}
