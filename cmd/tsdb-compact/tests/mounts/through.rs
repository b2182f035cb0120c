//! Files that can only go through the page cache, where going past it is only preferred: that many,
//! it is said.

use std::path::Path;
use std::process::{Command, Output};

use crate::mount::{Kind, Mount, is_elsewhere};
use crate::run::{PROGRAM, blocks, copy, generate};

fn merge(sources: &Path, output: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("merge").args(blocks(sources)).arg("--output").arg(output).args(flags);
    command.output().unwrap()
}

/// Of a ramfs no file can be opened for direct reads; the output is on a disk.
#[test]
fn sources_that_take_no_direct_reads_are_counted_or_refused() {
    if is_elsewhere() {
        return;
    }
    let (Some(memory), Some(disk)) = (Mount::new(Kind::Ramfs), Mount::new(Kind::Ext4)) else {
        return;
    };
    let source = generate(&["--series", "200", "--blocks", "2"]);
    let data = memory.path().join("data");
    copy(&source.path().join("data"), &data);
    let said = |output: &Output| {
        let (out, err) = (&output.stdout, &output.stderr);
        format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
    };

    let json = merge(&data, &disk.path().join("json"), &["--uncached-io=prefer", "--json"]);
    let json = said(&json);
    assert!(json.contains("\"uncached\": true"), "{json}");
    let files = json.split_once("\"filesThroughCache\": ").unwrap().1;
    let files: u64 = files.split(',').next().unwrap().parse().unwrap();
    // An index and a segment of each.
    assert!(files >= 4, "{json}");
    let text = said(&merge(&data, &disk.path().join("text"), &["--uncached-io=prefer"]));
    assert!(text.contains(" files could only go through it)"), "{text}");

    let refused = merge(&data, &disk.path().join("none"), &["--uncached-io=required"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("uncached I/O is required"), "{}", said(&refused));

    // From a disk, none is.
    let text = said(&merge(
        &source.path().join("data"),
        &disk.path().join("disk"),
        &["--uncached-io=prefer"],
    ));
    assert!(text.contains("past the page cache in "), "{text}");
}
