//! A terminal that goes away stops a merge, unless it was started to outlive it.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixtures::{PROGRAM, entries, generate, names, temp_dir};

/// Hangs up once the merge has begun its block; the exit code, and what is in the output directory.
fn hung_up(script: &str) -> (Option<i32>, Vec<String>) {
    let dir = temp_dir();
    let sources = dir.path().join("data");
    generate(&sources, &["--series", "3000", "--samples", "240", "--blocks", "2"]);
    let output = dir.path().join("merged");
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM, "merge"]).args(entries(&sources));
    // Slow, so that it is under way for long enough.
    command.arg("--output").arg(&output).args(["--io-limit", "2MiB"]);
    let mut merge = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let has_begun =
        |merge: &mut Child| output.exists() && !names(&output).is_empty() || has_ended(merge);
    while !has_begun(&mut merge) {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(!has_ended(&mut merge), "it was too fast");
    let kill = Command::new("kill").args(["-HUP", &merge.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = merge.wait().unwrap();
    assert_eq!(status.signal(), None);
    let left = if output.exists() { names(&output) } else { Vec::new() };
    (status.code(), left)
}

fn has_ended(merge: &mut Child) -> bool {
    merge.try_wait().unwrap().is_some()
}

#[test]
fn a_hangup_leaves_nothing_behind() {
    // Whoever runs the tests may ignore hangups.
    let script = "exec env --default-signal=HUP \"$0\" \"$@\"";
    assert_eq!(hung_up(script), (Some(129), Vec::new()));
}

#[test]
fn what_ignores_hangups_goes_on() {
    let (code, left) = hung_up("trap '' HUP; exec \"$0\" \"$@\"");
    assert_eq!((code, left.len()), (Some(0), 1), "{left:?}");
}
