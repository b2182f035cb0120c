//! What of `dashboards/compose.yaml` can be tried without containers: the servers start with its
//! flags, and promtool accepts its Prometheus's configuration.

use std::fs;

use serde_json::Value;

use crate::process::{Process, free_address};
use crate::programs;

/// Flags that say where; a test has places of its own.
const PLACES: [&str; 2] = ["--storage.tsdb.path=", "--web.listen-address="];

fn compose() -> Value {
    let path = programs::workspace().join("dashboards/compose.yaml");
    serde_yaml_ng::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn servers_of_the_composition_start_and_differ_in_one_flag() {
    let compose = compose();
    let [baseline, candidate] = ["baseline", "candidate"].map(|arm| {
        let command = compose["services"][arm]["command"].as_array().unwrap().iter();
        let flags: Vec<&str> = command.map(|flag| flag.as_str().unwrap()).collect();
        let is_place = |flag: &&str| PLACES.iter().any(|place| flag.starts_with(place));
        assert_eq!(flags.iter().filter(|flag| is_place(flag)).count(), PLACES.len(), "{arm}");
        let flags: Vec<&str> = flags.into_iter().filter(|flag| !is_place(flag)).collect();
        let dir = tempfile::tempdir().unwrap();
        // It gives this one by itself.
        let others = flags.iter().copied();
        let others: Vec<&str> =
            others.filter(|flag| *flag != "--web.enable-remote-write-receiver").collect();
        assert_eq!(others.len() + 1, flags.len(), "{arm} takes no remote write");
        let server = Process::ours(&dir.path().join("data"), free_address(), &others);
        assert!(server.terminate().success(), "{arm}");
        flags.into_iter().map(str::to_owned).collect::<Vec<_>>()
    });
    let differ: Vec<(&String, &String)> =
        baseline.iter().zip(&candidate).filter(|(a, b)| a != b).collect();
    assert_eq!(baseline.len(), candidate.len());
    let [(a, b)] = differ[..] else { panic!("{differ:?}") };
    assert!(a.starts_with("--uncached-io=") && b.starts_with("--uncached-io="), "{a} {b}");
}

/// All files that the containers see are there, and the servers that are scraped are services.
#[test]
fn promtool_accepts_the_composition() {
    let Some(programs) = programs::get() else { return };
    let dashboards = programs::workspace().join("dashboards");
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let from = volume.as_str().unwrap().split(':').next().unwrap();
            if from.starts_with("./") {
                assert!(dashboards.join(from).exists(), "{name}: {from}");
            }
        }
    }
    let text = fs::read_to_string(dashboards.join("compose/prometheus.yml")).unwrap();
    let config: Value = serde_yaml_ng::from_str(&text).unwrap();
    for scrape in config["scrape_configs"].as_array().unwrap() {
        for of in scrape["static_configs"].as_array().unwrap() {
            for target in of["targets"].as_array().unwrap() {
                let host = target.as_str().unwrap().split(':').next().unwrap();
                assert!(services.contains_key(host), "{target}");
            }
        }
    }
    // Beside its rules, as in the container.
    let dir = tempfile::tempdir().unwrap();
    fs::copy(dashboards.join("rules.yaml"), dir.path().join("rules.yaml")).unwrap();
    let file = dir.path().join("prometheus.yml");
    fs::write(&file, text).unwrap();
    programs::run(programs.promtool().args(["check", "config"]).arg(file));
}
