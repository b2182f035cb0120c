//! A writing process is killed at every step: what it was promised is there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use uncached_io::{CreateOptions, EngineKind, Io};

use crate::child;
use crate::content::{Random, assert_same, io_by, pattern, read, working};
use crate::mount::{Kind, Mount, Under};

/// The longest that any file gets.
const LEN_MAX: usize = 400_000;

#[test]
fn killed_at_every_step_what_was_promised_is_there() {
    let mut random = Random::new("when to kill");
    for kind in [Kind::Ext4, Kind::XfsOn4Kn, Kind::Btrfs] {
        let Some(mount) = Mount::with_size(kind, Under::Memory, 0) else { continue };
        for engine in working(kind, &mount.path()) {
            let mut steps = 0;
            loop {
                let dir = mount.path().join(format!("{engine}-{steps}"));
                fs::create_dir(&dir).unwrap();
                let (promises, ended) = run_and_kill(&dir, engine, steps, &mut random);
                check(&dir, &promises, &format!("{kind:?}, {engine}, after step {steps}"));
                fs::remove_dir_all(&dir).unwrap();
                if ended {
                    break;
                }
                steps += 1;
            }
            // Two files, synced half way, finished, and one resumed.
            assert!(steps >= 12, "{engine}: only {steps} steps were met");
        }
    }
}

/// Lets the child take `steps` steps, kills it in the next one; its promises, and whether it came
/// to its end.
fn run_and_kill(
    dir: &Path,
    engine: EngineKind,
    steps: usize,
    random: &mut Random,
) -> (Vec<String>, bool) {
    let mut command = child::command("kill::child_writes_step_by_step", dir, engine.name());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let mut promises = Vec::new();
    let (mut met, mut ended) = (0, false);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while met <= steps {
        let Some(line) = lines.next() else { break };
        let line = line.unwrap();
        let Some((_, promise)) = line.split_once("step: ") else { continue };
        ended |= promise == "end";
        met += 1;
        promises.push(promise.to_owned());
    }
    std::thread::sleep(std::time::Duration::from_micros(random.below(800) as u64));
    let _ = child.kill();
    // What it said before it died counts too.
    let late = lines.map_while(Result::ok);
    promises.extend(late.filter_map(|line| Some(line.split_once("step: ")?.1.to_owned())));
    child.wait().unwrap();
    assert!(met > steps || ended, "the child failed by itself after {promises:?}");
    (promises, ended)
}

fn check(dir: &Path, promises: &[String], what: &str) {
    let (mut prefixes, mut finished) = (BTreeMap::new(), BTreeMap::new());
    for promise in promises {
        let words: Vec<_> = promise.split(' ').collect();
        match words[..] {
            ["synced", name, len] => prefixes.insert(name, len.parse::<usize>().unwrap()),
            ["finished", name, len] => finished.insert(name, len.parse::<usize>().unwrap()),
            // It may grow again, but keeps what it has.
            ["resumes", name] => {
                let len = finished.remove(name).unwrap();
                prefixes.insert(name, len)
            }
            _ => None,
        };
    }
    for (name, len) in prefixes {
        let got = read(&dir.join(name));
        assert!(got.len() >= len, "{what}: {name} has {} of {len} bytes", got.len());
        assert_same(&got[..len], &content_of(name)[..len], &format!("{what}: {name}"));
    }
    for (name, len) in finished {
        // Killed right behind its last promise, the child may already have begun to resume it.
        let got = read(&dir.join(name));
        assert_same(&got, &content_of(name)[..len], &format!("{what}: finished {name}"));
    }
}

fn content_of(name: &str) -> Vec<u8> {
    pattern(name.len() as u64, LEN_MAX)
}

fn step(promise: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "step: {promise}").unwrap();
    stdout.flush().unwrap();
}

#[test]
#[ignore = "run by killed_at_every_step_what_was_promised_is_there"]
fn child_writes_step_by_step() {
    let Some((dir, engine)) = child::task() else { return };
    let io = io_by(&dir, engine.parse().unwrap());
    let options = CreateOptions::default();
    let mut writer = io.create(&dir.join("first"), options).unwrap();
    step("created first");
    let content = content_of("first");
    let mut at = 0;
    for (len, sync) in [(100, true), (70_000, false), (100_001, true), (3, true), (90_000, false)] {
        writer.write_all(&content[at..at + len]).unwrap();
        at += len;
        step(&format!("wrote {at}"));
        if sync {
            writer.sync_partial().unwrap();
            step(&format!("synced first {at}"));
        }
    }
    let finished = writer.reset(&dir.join("the second"), options).unwrap();
    // A name with a space would break the protocol; the file of that name is given up.
    assert_eq!(finished.len_bytes, at as u64);
    step(&format!("finished first {at}"));
    writer.write_all(&content[..200_000]).unwrap();
    drop(writer);
    step("dropped");
    resumes(&io, &dir, at, &content);
    step("end");
}

fn resumes(io: &Io, dir: &Path, mut at: usize, content: &[u8]) {
    step("resumes first");
    let path = dir.join("first");
    let mut writer = io.resume(&path, at as u64, CreateOptions::default()).unwrap();
    for len in [1, 40_000, 50_000] {
        writer.write_all(&content[at..at + len]).unwrap();
        at += len;
    }
    step("wrote more");
    writer.finish().unwrap();
    step(&format!("finished first {at}"));
}
