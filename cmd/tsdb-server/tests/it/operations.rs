//! What is shipped for operators.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::server::dir;

/// The most that `systemd-analyze security` may find exposed, in tenths: it calls up to 2.0 "OK".
const EXPOSURE_MAX: u32 = 20;

#[test]
fn the_unit_is_sound_and_hardened() {
    let ops = Path::new(env!("CARGO_MANIFEST_DIR")).join("ops");
    let unit = fs::read_to_string(ops.join("tsdb-server.service")).unwrap();
    let installed = "/usr/local/bin/tsdb-server";
    assert!(unit.contains(installed));
    let dir = dir();
    let file = dir.path().join("tsdb-server.service");
    // The program has to be there to be verified; the page of the manual does not lie there either.
    let unit = unit.replace(installed, env!("CARGO_BIN_EXE_tsdb-server"));
    fs::write(&file, unit).unwrap();
    let run =
        |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).arg(&file).output();
    let Ok(verified) = run(&["verify"]) else {
        let required = std::env::var("TSDB_JUDGES").is_ok_and(|value| value == "required");
        assert!(!required, "systemd-analyze is required, and not there");
        let line = b"SKIPPED, the unit was not verified: there is no systemd-analyze\n";
        let _ = std::io::stderr().write_all(line);
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && said.is_empty(), "{said}");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let judged = run(&["security", "--offline=yes", "--no-pager", &threshold]).unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
}
