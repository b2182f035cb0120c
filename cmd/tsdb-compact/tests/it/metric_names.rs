//! What dashboard, rules and alerts ask for is what the program tells. Fails if a metric is renamed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixtures::{entries, expect_code, generate, program, skip, temp_dir};

const PREFIXES: [&str; 4] = ["container_", "process_", "prometheus_", "tsdb_compactor_"];

fn dashboards(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards");
    fs::read_to_string(dir.join(name)).unwrap()
}

/// The names of metrics in PromQL; those of recording rules have colons.
fn names_in(query: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = query.split(move |c| !is_name(c));
    words.filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
}

/// All queries of the dashboard and of `rules.yaml`.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&dashboards("page-cache.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut queries: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    let rules = dashboards("rules.yaml");
    let of_rules = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    queries.extend(of_rules.map(str::to_owned));
    queries
}

#[test]
fn what_is_asked_for_is_told() {
    let dir = temp_dir();
    let (data, metrics) = (dir.path().join("data"), dir.path().join("job.prom"));
    generate(&data, &["--series", "200", "--blocks", "2"]);
    let mut merge = program();
    merge.arg("merge").args(entries(&data)).arg("--output").arg(dir.path().join("out"));
    expect_code(merge.arg("--metrics-file").arg(&metrics).arg("--metrics-container"), 0);
    let text = fs::read_to_string(&metrics).unwrap();
    let told: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    // What a kernel may not tell at all.
    let missing_here: Vec<&str> = ["container_memory_", "container_pressure_"]
        .into_iter()
        .filter(|prefix| !told.iter().any(|name| name.starts_with(prefix)))
        .collect();
    if !missing_here.is_empty() {
        skip("TSDB_CGROUP_TESTS", &format!("this kernel tells none of {missing_here:?}"));
    }
    let queries = queries();
    let asked: BTreeSet<&str> = queries.iter().flat_map(|query| names_in(query)).collect();
    assert!(asked.len() > 20, "{asked:?}");
    let unknown: Vec<&&str> = asked
        .iter()
        .filter(|name| !missing_here.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !name.contains(':') && !told.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "nobody tells {unknown:?}");
}
