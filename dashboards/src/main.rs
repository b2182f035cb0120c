//! Writes `page-cache.json`, the Grafana dashboard, and `rules.yaml`, its rules and alerts.
//!
//! ```text
//!  panels.rs   what is shown: titles, units, queries
//!  grafana.rs  how Grafana's classic JSON says that
//!  rules.rs    recording rules and alerts, as Prometheus reads them
//! ```
//!
//! `cargo run -p tsdb-dashboards` writes both into `dashboards/`; `-- --check` fails if they are
//! not what would be written.

mod grafana;
mod panels;
mod rules;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

fn main() -> Result<ExitCode> {
    let check = std::env::args().any(|arg| arg == "--check");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = false;
    for (name, text) in files()? {
        let path = dir.join(name);
        if !check {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            eprintln!("{} is not what is generated: cargo run -p tsdb-dashboards", path.display());
            stale = true;
        }
    }
    Ok(if stale { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Name and content of each.
fn files() -> Result<[(&'static str, String); 2]> {
    let dashboard = serde_json::to_string_pretty(&grafana::dashboard(&panels::rows()))?;
    Ok([("page-cache.json", dashboard + "\n"), ("rules.yaml", rules::yaml())])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_committed_files_are_those_that_are_generated() {
        for (name, text) in files().unwrap() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            assert!(fs::read_to_string(&path).unwrap() == text, "{name} has to be generated anew");
        }
    }

    /// Grafana shows one of two panels with the same id, and overlaps what shares a place.
    #[test]
    fn panels_have_ids_and_places_of_their_own() {
        let dashboard = grafana::dashboard(&panels::rows());
        let mut ids = BTreeSet::new();
        let mut places = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{panel}");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(places.insert((x, y)), "{} overlaps another panel", panel["title"]);
                }
            }
        }
    }

    /// By variable, never by a uid of some Grafana.
    #[test]
    fn no_data_source_is_named() {
        let text = serde_json::to_string(&grafana::dashboard(&panels::rows())).unwrap();
        let uids = text.matches("\"uid\":").count();
        let by_variable = text.matches("\"uid\":\"${datasource}\"").count();
        // The dashboard has one of its own.
        assert_eq!(by_variable + 1, uids);
        for variable in ["datasource", "job", "instance", "baseline", "candidate"] {
            assert!(text.contains(&format!("\"name\":\"{variable}\"")), "{variable}");
        }
    }
}
