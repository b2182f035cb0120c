//! The README's three commands, as they stand there.
//!
//! What is replaced, and nothing else: `cargo run` by the program that it would build, `prometheus` by
//! the judge, and the three ports by free ones, in the files too that the commands name. Paths stay
//! as they are: the commands run in a directory that has these files at the same places.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Process, free_address};
use crate::programs::{self, workspace};
use crate::promql::answer;

const HEADING: &str = "## A server in three commands";
const CARGO: &str = "cargo run --release -p tsdb-server -- ";
const PROMETHEUS: &str = "prometheus ";
/// What the commands and their files name.
const PORTS: [&str; 3] = ["9090", "9091", "9092"];
const FILES: [&str; 2] = ["cmd/tsdb-server/ops/scrape.yml", "cmd/tsdb-server/ops/query.yml"];
/// Scrapes are at most fifteen seconds apart; batches are sent after five more.
const ARRIVAL_WAIT: Duration = Duration::from_secs(120);

/// The commands of the block of shell behind the heading.
fn commands(readme: &str) -> Vec<String> {
    let (_, section) = readme.split_once(HEADING).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// A command of the README, ready to run in `dir`.
fn command(text: &str, dir: &Path) -> Command {
    let mut shell = Command::new("sh");
    // In place of the shell, so that it is what a signal ends.
    shell.args(["-c", &format!("exec {text}")]).current_dir(dir);
    shell
}

#[test]
fn three_commands_lead_to_a_server_with_prometheus_on_both_sides() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir().unwrap();
    let addresses = PORTS.map(|_| free_address());
    let with_ports = |text: &str| {
        PORTS.iter().zip(addresses).fold(text.to_owned(), |text, (port, address)| {
            text.replace(&format!("127.0.0.1:{port}"), &address.to_string())
        })
    };
    for file in FILES {
        let (from, to) = (workspace().join(file), dir.path().join(file));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, with_ports(&fs::read_to_string(from).unwrap())).unwrap();
    }
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let commands = commands(&readme);
    let [server, sender, reader] = &commands[..] else { panic!("not three: {commands:?}") };
    // The server listens at the first port by default.
    let own_port = format!(" --web.listen-address={}", addresses[0]);
    let server = server.strip_prefix(CARGO).unwrap();
    let server = format!("{} {server}{own_port}", env!("CARGO_BIN_EXE_tsdb-server"));
    let prometheus = |text: &str| {
        let flags = text.strip_prefix(PROMETHEUS).unwrap();
        format!("{} {}", programs.prometheus().display(), with_ports(flags))
    };
    let quiet = " --log.level=warn";
    let start = |text: String, number: usize| {
        Process::start(&mut command(&(text + quiet), dir.path()), addresses[number])
    };
    let server = start(server, 0);
    let sender = start(prometheus(sender), 1);
    let reader = start(prometheus(reader), 2);
    arrives(&server, &reader);
    for process in [reader, sender, server] {
        let status = process.terminate();
        assert!(status.success(), "{status}");
    }
}

/// Waits until what the one scrapes has arrived in ours, beside what ours scrapes of itself, and is found
/// by the other's PromQL, which has no samples but ours.
fn arrives(server: &Process, reader: &Process) {
    let query =
        "count_over_time(up{job=~\"prometheus|tsdb-server-self-scrape\",instance!=\"\"}[5m]) >= 1";
    let encoded: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let begun = Instant::now();
    loop {
        let found = answer(reader, &format!("/api/v1/query?query={encoded}"));
        let jobs: Vec<_> = found.iter().filter_map(|one| one["metric"]["job"].as_str()).collect();
        if jobs.contains(&"prometheus") && jobs.contains(&"tsdb-server-self-scrape") {
            break;
        }
        assert!(begun.elapsed() < ARRIVAL_WAIT, "nothing arrives: {found:?}");
        std::thread::sleep(Duration::from_millis(300));
    }
    // Only the sender scrapes a Prometheus.
    let series = server.get("/api/v1/series?match[]=prometheus_agent_active_series").unwrap();
    assert_eq!(series.json()["data"].as_array().map(Vec::len), Some(1), "{}", series.text());
    let metrics = server.get("/metrics").unwrap();
    let refused = "tsdb_server_remote_write_refused_total 0\n";
    assert!(metrics.text().contains(refused), "{}", metrics.text());
    let json = reader.get("/api/v1/status/tsdb").unwrap().json();
    assert_eq!(json["data"]["headStats"]["numSeries"], 0, "the reader has samples of its own");
}
