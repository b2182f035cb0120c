//! Paths that are not UTF-8: a path is bytes, and JSON is text.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::damage::flip;
use crate::fixtures::{copy_case, entries, expect_json, generate, program, temp_dir};

/// Bytes that no UTF-8 has.
fn not_utf8(dir: &Path) -> PathBuf {
    dir.join(OsStr::from_bytes(b"data-\xff\xfe"))
}

/// As JSON has it: what is not UTF-8 is replaced.
fn is_shown(path: &Value) -> bool {
    path.as_str().is_some_and(|path| path.contains("data-\u{fffd}\u{fffd}/01"))
}

#[test]
fn json_shows_any_path_and_the_work_is_done() {
    let dir = temp_dir();
    let data = not_utf8(dir.path());
    copy_case("five-blocks", &data);

    let list = expect_json(program().args(["list", "--json"]).arg(&data), 0);
    assert!(is_shown(&list["blocks"][0]["path"]), "{list}");
    let verify = expect_json(program().args(["verify", "--json"]).arg(&data), 0);
    assert!(is_shown(&verify["blocks"][0]["path"]), "{verify}");
    expect_json(program().args(["plan", "--json"]).arg(&data), 0);
    let merged = data.join("merged");
    let sources = entries(&data);
    for flags in [&["--dry-run"][..], &[]] {
        let mut merge = program();
        merge.args(["merge", "--json"]).args(flags).args(&sources).arg("--output").arg(&merged);
        let document = expect_json(&mut merge, 0);
        if flags.is_empty() {
            let path = document["blocks"][0]["path"].as_str().unwrap();
            assert!(path.contains("data-\u{fffd}\u{fffd}/merged/01"), "{document}");
        }
    }
    fs::remove_dir_all(&merged).unwrap();
    let compact = expect_json(program().args(["compact", "--json"]).arg(&data), 0);
    let compactions = compact["compactions"].as_array().unwrap();
    assert!(compactions.iter().all(|tried| is_shown(&tried["sources"][0])), "{compact}");
    assert!(is_shown(&compactions[0]["result"]["blocks"][0]["path"]), "{compact}");
}

#[test]
fn json_shows_the_path_of_what_is_broken_and_to_blame() {
    let dir = temp_dir();
    let data = not_utf8(dir.path());
    copy_case("five-blocks", &data);
    flip(&data.join("01HF84E402BFA834FXZHWPEB9P/chunks/000001"), 100);
    fs::write(data.join("01HF84E40506GAHJQQA0AFBH4X/meta.json"), "{").unwrap();
    let compact = expect_json(program().args(["compact", "--json"]).arg(&data), 1);
    assert!(is_shown(&compact["compactions"][0]["culprit"]), "{compact}");
    assert!(is_shown(&compact["broken"][0]["path"]), "{compact}");
    let made = not_utf8(dir.path()).with_file_name(OsStr::from_bytes(b"made\xff"));
    generate(&made, &["--series", "5", "--samples", "5", "--json"]);
    assert_eq!(entries(&made).len(), 1);
}
