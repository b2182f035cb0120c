//! How fast, how large. Run with `--release -- --ignored --nocapture speed`.

use std::time::Instant;

use tsdb_format::labels::Labels;

use super::super::{HeadOptions, HeadSeriesRef, Sample};
use super::Fixture;

fn label_set(n: usize) -> Labels {
    let pod = format!("pod-{:05}", n / 200);
    let metric = format!("http_requests_total_{}", n % 200);
    [
        ("__name__", metric.as_str()),
        ("cluster", "eu-west-1"),
        ("container", "app"),
        ("endpoint", "metrics"),
        ("instance", &format!("10.0.{}.{}:9090", n / 200 / 256, n / 200 % 256)),
        ("job", "monitoring/app"),
        ("namespace", "production"),
        ("pod", pod.as_str()),
        ("service", "app"),
        ("code", if n.is_multiple_of(2) { "200" } else { "500" }),
    ]
    .into_iter()
    .collect()
}

#[test]
#[ignore = "takes long; prints figures"]
fn speed() {
    let series: usize = std::env::var("SERIES").map_or(100_000, |n| n.parse().expect("a number"));
    let fixture = Fixture::new(HeadOptions::default());
    let labels: Vec<Labels> = (0..series).map(label_set).collect();
    let begin = Instant::now();
    let mut refs: Vec<HeadSeriesRef> = Vec::with_capacity(series);
    for chunk in labels.chunks(1000) {
        let mut appender = fixture.head.appender();
        for labels in chunk {
            refs.push(appender.append(None, labels, Sample::float(0, 1.0)).expect("taken"));
        }
        appender.commit().expect("the log takes it");
    }
    let took = begin.elapsed();
    println!("new series: {:.0} ns each", took.as_nanos() as f64 / series as f64);
    let none = Labels::default();
    let begin = Instant::now();
    let (mut append_ns, mut commit_ns) = (0, 0);
    for scrape in 1..120i64 {
        for (at, chunk) in refs.chunks(1000).enumerate() {
            let mut appender = fixture.head.appender();
            let start = Instant::now();
            for (n, series) in chunk.iter().enumerate() {
                let value = (scrape * (1 + (n as i64 + at as i64) % 7)) as f64;
                let sample = Sample::float(scrape * 15_000, value);
                appender.append(Some(*series), &none, sample).expect("taken");
            }
            append_ns += start.elapsed().as_nanos();
            let start = Instant::now();
            appender.commit().expect("the log takes it");
            commit_ns += start.elapsed().as_nanos();
        }
    }
    let samples = (series * 119) as f64;
    println!(
        "samples: {:.1} ns each (append {:.1}, commit {:.1})",
        begin.elapsed().as_nanos() as f64 / samples,
        append_ns as f64 / samples,
        commit_ns as f64 / samples
    );
    let bytes = fixture.head.stats().memory_bytes;
    println!("memory: {:.0} bytes a series", bytes as f64 / series as f64);
}
