//! prometheus-mixin's alerts, as they are in the source of Prometheus 3.15.
//!
//! Its configuration and alerts are compiled by PyPI's `jsonnet`: of the Python in `jsonnet/` beside
//! the judges, else of the one in the path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::programs;

/// The job that the alerts watch.
pub(crate) const JOB: &str = "tsdb";
const LIST: &str = include_str!("mixin.txt");

/// What is committed about an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Fires,
    Absent,
}

/// The committed list, by alert.
pub(crate) fn fates() -> BTreeMap<String, Fate> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    let fate = |line: &str| match line.split_once(' ') {
        Some(("fires", alert)) => (alert.to_owned(), Fate::Fires),
        Some(("absent", alert)) => (alert.to_owned(), Fate::Absent),
        _ => panic!("mixin.txt: {line}"),
    };
    lines.map(fate).collect()
}

/// `{"groups": [...]}` of the alerts for [`JOB`]; `None` after a line on stderr saying why not.
///
/// # Panics
/// If they can't be had and `TSDB_JUDGES=required`.
pub(crate) fn alerts() -> Option<Value> {
    match compile() {
        Ok(alerts) => Some(alerts),
        Err(why) => {
            programs::skip("no alert of the mixin was judged", &why);
            None
        }
    }
}

fn compile() -> Result<Value, String> {
    let python = python()?;
    let dir = source()?.join("documentation/prometheus-mixin");
    let source = format!(
        "((import 'config.libsonnet') + (import 'alerts.libsonnet') \
         + {{ _config+:: {{ prometheusSelector: 'job=\"{JOB}\"' }} }}).prometheusAlerts"
    );
    // What is imported is looked for beside the file of this name.
    let name = dir.join("of-this-test.jsonnet");
    let program = "import _jsonnet, sys; print(_jsonnet.evaluate_snippet(*sys.argv[1:]))";
    let mut command = Command::new(python);
    command.args(["-c", program]).arg(&name).arg(source);
    serde_json::from_str(&programs::run(&mut command)).map_err(|error| error.to_string())
}

/// A Python that has `jsonnet`.
fn python() -> Result<PathBuf, String> {
    let beside = std::env::var_os("TSDB_JUDGE_BIN").map(PathBuf::from);
    let beside = beside.unwrap_or_else(|| programs::workspace().join("target/judge"));
    let has_it = |python: &Path| {
        let output = Command::new(python).args(["-c", "import _jsonnet"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    [beside.join("jsonnet/bin/python"), "python3".into()]
        .into_iter()
        .find(|python| has_it(python))
        .ok_or_else(|| "no Python has jsonnet: pip install jsonnet".to_owned())
}

/// The source that the judges are built from.
fn source() -> Result<PathBuf, String> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", "github.com/prometheus/prometheus"])
        .current_dir(programs::workspace().join("testdata/judge"))
        .output()
        .map_err(|error| format!("go: {error}"))?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let dir = answer["Dir"].as_str().ok_or_else(|| format!("no source: {answer}"))?;
    Ok(PathBuf::from(dir))
}

/// The rules of all groups.
pub(crate) fn rules(alerts: &Value) -> impl Iterator<Item = &Value> {
    let groups = alerts["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap())
}

/// The same alerts, but after seconds instead of hours. What they ask stays as it is.
pub(crate) fn impatient(mut alerts: Value) -> Value {
    for group in alerts["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            rule["for"] = json!("5s");
        }
    }
    alerts
}

/// Metrics of Prometheus that a rule asks for.
pub(crate) fn metrics_of(rule: &Value) -> Vec<String> {
    let is_other = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    // Without its comments.
    let lines = rule["expr"].as_str().unwrap().lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
    let words = lines.flat_map(|line| line.split(is_other));
    words.filter(|word| word.starts_with("prometheus_")).map(str::to_owned).collect()
}
