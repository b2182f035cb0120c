//! Ranges by the flags that a server has them by.

use crate::fixtures::{expect_code, expect_json, generate, program, temp_dir};

/// A multiple of 54 h.
const START_MS: u64 = (1_767_225_600_000 / 194_400_000 + 1) * 194_400_000;

/// Lengths in hours of the plans for thirty blocks of two hours, with these flags.
fn planned_hours(flags: &[&str]) -> Vec<u64> {
    let dir = temp_dir();
    let start = START_MS.to_string();
    let blocks = ["--series", "2", "--samples", "8", "--interval", "15m", "--blocks", "30"];
    generate(dir.path(), &[&blocks[..], &["--start", &start]].concat());
    let report = expect_json(program().args(["compact", "--json"]).arg(dir.path()).args(flags), 0);
    let left = report["compactions"].as_array().unwrap().len();
    assert!(left > 0 || flags.contains(&"--storage.tsdb.retention.time=15h"), "{flags:?}");
    let list = expect_json(program().args(["list", "--json"]).arg(dir.path()), 0);
    let hours = |block: &serde_json::Value| {
        let time = |name: &str| block[name].as_u64().unwrap();
        (time("maxTime") - time("minTime")).div_ceil(3_600_000)
    };
    list["blocks"].as_array().unwrap().iter().map(hours).collect()
}

/// What 3.15 makes of such a directory, without flags and with these.
#[test]
fn without_flags_blocks_are_as_long_as_those_of_a_server_without_flags() {
    let of_fifteen_days = [18, 18, 18, 2, 2, 2];
    assert_eq!(planned_hours(&[]), of_fifteen_days);
    assert_eq!(planned_hours(&["--storage.tsdb.max-block-duration=0s"]), of_fifteen_days);
    assert_eq!(planned_hours(&["--storage.tsdb.retention.time=0"]), [54, 2, 2, 2]);
    // A tenth of that is less than the shortest range, which is the longest then.
    assert_eq!(planned_hours(&["--storage.tsdb.retention.time=15h"]), [2; 30]);
    expect_code(program().args(["plan", "nowhere", "--storage.tsdb.retention.time="]), 2);
}
