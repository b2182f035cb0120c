//! A merge that lets others go first: `--io-limit` and `--nice`.

use std::fs;
use std::time::{Duration, Instant};

use crate::fixtures::{entries, expect_code, generate, program, temp_dir, text};

#[test]
fn a_limited_merge_takes_its_time_is_nice_and_writes_the_same() {
    let dir = temp_dir();
    let sources = dir.path().join("data");
    generate(&sources, &["--series", "3000", "--samples", "480", "--blocks", "2"]);
    let blocks: Vec<_> =
        entries(&sources).into_iter().filter(|path| path.join("meta.json").exists()).collect();
    let bytes_of = |name: &str| -> Vec<u8> {
        let output = dir.path().join(name);
        let blocks = entries(&output).into_iter().filter(|path| path.join("index").exists());
        let blocks: Vec<_> = blocks.collect();
        assert_eq!(blocks.len(), 1, "{blocks:?}");
        let files = [blocks[0].join("index"), blocks[0].join("chunks/000001")];
        files.iter().flat_map(|file| fs::read(file).unwrap()).collect()
    };
    let merge = |name: &str| {
        let mut command = program();
        command.arg("merge").args(&blocks).arg("--output").arg(dir.path().join(name));
        command
    };
    expect_code(&mut merge("free"), 0);
    let free = bytes_of("free");

    let start = Instant::now();
    let mut limited = merge("limited");
    limited.args(["--io-limit", "4MiB", "--nice", "7"]);
    let mut running = limited.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let (wanted, mut is_nice) = ((niceness("self") + 7).min(19), false);
    let status = loop {
        is_nice |= niceness(&running.id().to_string()) == wanted;
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    assert!(status.success() && is_nice, "{status:?} {is_nice}");
    assert!(bytes_of("limited") == free, "the limit changed the output");
    // Written at least, and read about as much. The burst and the last pieces need no waiting.
    let least = Duration::from_millis(free.len() as u64 * 1000 / (4 << 20)) / 2;
    assert!(free.len() > 2 << 20 && took > least, "{} bytes in {took:?}", free.len());
}

/// Of a process.
fn niceness(pid: &str) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may have spaces in it, it is the 17th.
    stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().parse().unwrap()
}

#[test]
fn a_limit_under_which_nothing_would_move_is_a_usage_error() {
    let output = expect_code(program().args(["compact", ".", "--io-limit", "100"]), 2);
    assert!(text(&output).contains("1MiB a second is the least"), "{}", text(&output));
}
