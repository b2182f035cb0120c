//! `dump` and `query` as a user runs them.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/blocks").join(name)
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tsdb-compact")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> String {
    let start = 0xcbf2_9ce4_8422_2325;
    let hash = bytes
        .iter()
        .fold(start, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

#[test]
fn dumps_are_those_of_promtool() {
    let mut compared = 0;
    for line in include_str!("golden/promtool-dump.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let [format, name, len, want] = words[..] else { panic!("{line}") };
        let output = run(&["dump", "--format", format, case(name).to_str().unwrap()]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(output.stdout.len().to_string(), len, "{name} as {format}");
        assert_eq!(hash(&output.stdout), want, "{name} as {format}");
        compared += 1;
    }
    assert!(compared > 25);
}

#[test]
fn json_lines_parse_and_add_up() {
    let output = run(&["dump", "--json", case("encodings").to_str().unwrap()]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let totals = lines.pop().unwrap()["totals"].clone();
    let count = |key: &str| lines.iter().filter(|line| line.get(key).is_some()).count();
    assert_eq!(totals["samples"], lines.len());
    assert_eq!(totals["floats"], count("value"));
    assert_eq!(totals["histograms"].as_u64().unwrap() as usize * 2, count("histogram"));
    assert_eq!(totals["unreadable"], 0);
    assert!(count("stale") > 0 && count("start") > 0, "stale markers and start times are told");
    for line in &lines {
        assert!(line["metric"]["__name__"].is_string());
        let Some(histogram) = line.get("histogram") else { continue };
        let buckets = histogram[1]["buckets"].as_array().into_iter().flatten();
        let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let in_buckets: f64 = buckets.map(|bucket| number(&bucket[3])).sum();
        assert!((in_buckets - number(&histogram[1]["count"])).abs() < 1e-6, "{line}");
    }
}

#[test]
fn histograms_become_classic_ones_in_openmetrics() {
    let dir = case("encodings");
    let dir = dir.to_str().unwrap();
    let selector = r#"test_gauge_histogram{encoding="false",start="0"}"#;
    let output = run(&["query", dir, selector, "--format", "openmetrics"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("\n# EOF\n"));
    let mut last: Option<(String, f64, f64)> = None;
    let (mut points, mut stale) = (0, 0);
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let (labels, rest) = rest.split_once("} ").unwrap();
        let (value, time) = rest.split_once(' ').unwrap();
        match name {
            "test_gauge_histogram_bucket" => {
                let bound = labels.split_once("le=\"").unwrap().1.trim_end_matches('"');
                let (bound, count) = (bound.parse::<f64>().unwrap(), value.parse::<f64>().unwrap());
                if let Some((at, below, before)) = &last
                    && at == time
                {
                    assert!(*below < bound && *before <= count, "not cumulative: {line}");
                }
                last = Some((time.to_owned(), bound, count));
            }
            "test_gauge_histogram_gcount" => {
                let (at, bound, count) = last.clone().unwrap();
                assert_eq!((at.as_str(), bound), (time, f64::INFINITY));
                assert_eq!(count.to_string(), value, "the bucket of +Inf is the count");
                stale += u32::from(count.is_nan());
                points += 1;
            }
            other => assert_eq!(other, "test_gauge_histogram_gsum"),
        }
    }
    assert_eq!(points, 240);
    assert!(stale > 0 && stale < 10, "{stale} stale markers");
}

#[test]
fn a_query_selects_and_cuts() {
    let dir = case("basic");
    let dir = dir.to_str().unwrap();
    let all = String::from_utf8(run(&["dump", dir]).stdout).unwrap();
    let label = r#"{__name__=~".+"}"#;
    let (mint, maxt) = (1_700_010_000_000i64, 1_700_016_000_000);
    let cut = run(&[
        "query",
        dir,
        label,
        "--min-time",
        &mint.to_string(),
        "--max-time",
        &maxt.to_string(),
    ]);
    let want: Vec<&str> = all
        .lines()
        .filter(|line| {
            let time: i64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
            (mint..=maxt).contains(&time)
        })
        .collect();
    assert!(!want.is_empty() && want.len() < all.lines().count());
    let got = String::from_utf8(cut.stdout.clone()).unwrap();
    assert_eq!(got.lines().collect::<Vec<_>>(), want);
    assert!(stderr(&cut).contains(&format!("200 series, {} samples", grouped(want.len()))));
}

/// A number below a million as it is shown.
fn grouped(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

#[test]
fn counts_are_printed_alone_where_asked_for() {
    let dir = case("encodings");
    let dir = dir.to_str().unwrap();
    let output = run(&["dump", "--count", dir]);
    let text = String::from_utf8(output.stdout).unwrap();
    let want =
        "45 series, 10,800 samples (3,600 floats, 3,600 histograms, 3,600 float histograms)\n";
    assert_eq!(text, want);
    assert!(output.stderr.is_empty());
}

#[test]
fn several_matches_select_what_any_selects() {
    let dir = case("encodings");
    let dir = dir.to_str().unwrap();
    let count = |args: &[&str]| {
        let output = run(&[&["dump", dir, "--count", "--json"], args].concat());
        let totals: Value = serde_json::from_slice(&output.stdout).unwrap();
        totals["totals"]["series"].as_u64().unwrap()
    };
    let one = count(&["--match", r#"{start="0"}"#]);
    let two = count(&["--match", r#"{encoding="true"}"#]);
    let both = count(&["--match", r#"{start="0",encoding="true"}"#]);
    let any = count(&["--match", r#"{start="0"}"#, "--match", r#"{encoding="true"}"#]);
    assert_eq!(any, one + two - both);
    assert!(both > 0 && any > one && any > two);
}

/// Unlike promtool, which stops at a bad chunk and exits with 0.
#[test]
fn what_is_unreadable_is_named_counted_and_left_out() {
    let temp = tempfile::tempdir().unwrap();
    let block = fs::read_dir(case("basic")).unwrap().next().unwrap().unwrap().path();
    let copy = temp.path().join(block.file_name().unwrap());
    fs::create_dir_all(copy.join("chunks")).unwrap();
    for file in ["meta.json", "index", "tombstones", "chunks/000001"] {
        fs::copy(block.join(file), copy.join(file)).unwrap();
    }
    let whole = run(&["dump", temp.path().to_str().unwrap()]);
    assert!(whole.status.success());

    let segment = copy.join("chunks/000001");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&segment, &bytes).unwrap();
    // And a block that does not open.
    let broken = temp.path().join("01HF84E40109SQBSHRH1XCD60E");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("meta.json"), b"{").unwrap();

    let damaged = run(&["dump", temp.path().to_str().unwrap()]);
    assert_eq!(damaged.status.code(), Some(1));
    let errors = stderr(&damaged);
    let named = errors.lines().filter(|line| line.starts_with("could not be read: ")).count();
    assert_eq!(named, 2, "{errors}");
    for part in ["chunks/000001", "__name__", "checksum mismatch", "01HF84E40109SQBSHRH1XCD60E"] {
        assert!(errors.contains(part), "{part} is not in {errors}");
    }
    assert!(errors.contains("; 2 blocks, series or chunks could not be read"), "{errors}");
    let lines = |output: &Output| output.stdout.iter().filter(|&&byte| byte == b'\n').count();
    let lost = lines(&whole) - lines(&damaged);
    assert!((1..=120).contains(&lost), "{lost} samples lost");
    let left = grouped(lines(&damaged));
    assert!(errors.contains(&format!("200 series, {left} samples")), "{errors}");
}

#[test]
fn mistakes_are_told_apart() {
    let dir = case("basic");
    let dir = dir.to_str().unwrap();
    let output = run(&["query", dir, r#"up{job=~"("}"#]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing closing )"), "{}", stderr(&output));

    let empty = tempfile::tempdir().unwrap();
    let output = run(&["query", empty.path().to_str().unwrap(), "up"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("holds no block"));

    let output = run(&["query", dir, "there_is_no_such_metric"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
}
