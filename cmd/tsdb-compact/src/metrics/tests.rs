//! The file as a whole.

use std::fs;

use tsdb::vfs::Policy;

use tsdb_bench_harness::cgroup::Controllers;

use super::*;

fn file_args(path: PathBuf, metrics_container: bool) -> MetricsArgs {
    MetricsArgs { metrics_file: Some(path), listen_address: None, metrics_container }
}

fn written(container: bool) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("job.prom");
    let args = file_args(path.clone(), container);
    let io = Io::probe(dir.path(), Policy::Off).unwrap();
    let metrics = Metrics::start(&args, &io, Arc::default()).unwrap();
    let begun = fs::read_to_string(&path).unwrap();
    assert!(begun.contains("prometheus_tsdb_compactions_total 0"), "{begun}");
    metrics.begin(&[]);
    metrics.failed();
    drop(metrics);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "a temporary file stayed");
    fs::read_to_string(&path).unwrap()
}

/// Names, types and buckets are Prometheus's.
#[test]
fn families_are_those_of_prometheus() {
    let text = written(false);
    let lines = [
        "# TYPE prometheus_tsdb_compactions_total counter",
        "# TYPE prometheus_tsdb_compactions_triggered_total counter",
        "# TYPE prometheus_tsdb_compactions_skipped_total counter",
        "# TYPE prometheus_tsdb_vertical_compactions_total counter",
        "# TYPE prometheus_tsdb_compaction_populating_block gauge",
        "# TYPE prometheus_tsdb_compaction_duration_seconds histogram",
        "# TYPE prometheus_tsdb_compaction_chunk_size_bytes histogram",
        "# TYPE prometheus_tsdb_compaction_chunk_samples histogram",
        "# TYPE prometheus_tsdb_compaction_chunk_range_seconds histogram",
        "# TYPE process_cpu_seconds_total counter",
        "# TYPE process_resident_memory_bytes gauge",
        "# TYPE tsdb_compactor_chunk_write_duration_seconds histogram",
        "prometheus_tsdb_compactions_total 1",
        "prometheus_tsdb_compactions_failed_total 1",
        "prometheus_tsdb_compaction_populating_block 0",
        "prometheus_tsdb_compaction_duration_seconds_count 1",
    ];
    for line in lines {
        assert!(text.lines().any(|written| written == line), "no {line} in\n{text}");
    }
    for (name, bounds) in [
        ("prometheus_tsdb_compaction_duration_seconds", 14),
        ("prometheus_tsdb_compaction_chunk_size_bytes", 12),
        ("prometheus_tsdb_compaction_chunk_samples", 12),
        ("prometheus_tsdb_compaction_chunk_range_seconds", 10),
    ] {
        let buckets = text.lines().filter(|line| line.starts_with(&format!("{name}_bucket")));
        assert_eq!(buckets.count(), bounds + 1, "{name}\n{text}");
    }
    assert!(!text.contains("container_"), "container metrics are opt-in\n{text}");
}

#[test]
fn what_a_container_has_is_told_on_demand() {
    if Controllers::of_this_process().memory.is_none() {
        eprintln!("SKIPPED: no memory cgroup can be read here");
        return;
    }
    let text = written(true);
    for name in
        ["container_memory_cache ", "container_memory_rss ", "container_memory_usage_bytes "]
    {
        assert!(text.lines().any(|line| line.starts_with(name)), "no {name} in\n{text}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("job.prom");
    let args = file_args(path, false);
    let io = Io::probe(dir.path(), Policy::Off).unwrap();
    let error = Metrics::start(&args, &io, Arc::default()).err().unwrap();
    assert!(error.to_string().contains("can't be written"), "{error}");
}

/// The work must not go on unseen by whoever wanted to see it.
#[test]
fn an_address_that_is_taken_is_told_before_the_work() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = MetricsArgs {
        metrics_file: None,
        listen_address: Some(address.clone()),
        metrics_container: false,
    };
    let io = Io::probe(std::path::Path::new("."), Policy::Off).unwrap();
    let error = Metrics::start(&args, &io, Arc::default()).err().unwrap();
    assert!(error.to_string().contains(&address), "{error}");
}

/// Both ways at once, with the container's; which go nowhere alone.
#[test]
fn metrics_go_to_a_file_and_an_address_at_once() {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        metrics: MetricsArgs,
    }
    let parsed = |flags: &[&str]| {
        let flags = std::iter::once(&"merge").chain(flags);
        <Flags as clap::Parser>::try_parse_from(flags).map(|flags| flags.metrics)
    };
    let both = ["--metrics-file=a", "--web.listen-address=:0", "--metrics-container"];
    let args = parsed(&both).unwrap();
    assert!(args.metrics_file.is_some() && args.listen_address.is_some());
    assert!(parsed(&both[1..]).is_ok() && parsed(&both[2..]).is_err());
}
