//! Faults that the operating system itself makes.

use std::process::Command;

use uncached_io::{CreateOptions, Error, Operation};

use crate::{direct_io, disk_dir, pattern};

const CHILD_DIR: &str = "UNCACHED_IO_TEST_DIR";

/// A file size limit that is not a whole number of blocks makes a genuine partial write,
/// which is resumed, and then a genuine error.
#[test]
fn a_file_size_limit_in_mid_block_gives_the_prefix_and_the_error() {
    let dir = disk_dir();
    let Some(_) = direct_io(dir.path()) else { return };
    // `ulimit -f` counts 512-byte units here; the signal is ignored, so the write fails instead.
    let script = "trap '' XFSZ; ulimit -f 1003; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "faults::child_writes_past_a_limit", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("1 passed"), "the child did not run: {stdout}");
}

#[test]
#[ignore = "run by a_file_size_limit_in_mid_block_gives_the_prefix_and_the_error"]
fn child_writes_past_a_limit() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(std::path::PathBuf::from) else { return };
    for buffers in [1, 3] {
        let io = direct_io(&dir).unwrap();
        let path = dir.join(format!("limited-{buffers}"));
        let options = CreateOptions::default().buffer_bytes(64 << 10).buffers(buffers);
        let mut writer = io.create(&path, options).unwrap();
        let content = pattern(2 << 20);
        let error = writer.write_all(&content).and_then(|()| writer.finish()).unwrap_err();
        let Error::Os { operation, offset_bytes, completed_bytes, errno, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((operation, errno.0), (Operation::Write, 27), "EFBIG");
        // With several writes under way, the one that fails may lie behind the one that was cut
        // short and is not taken up again.
        assert!(offset_bytes >= completed_bytes, "{offset_bytes} {completed_bytes}");
        assert!(buffers > 1 || offset_bytes == completed_bytes);
        // dash counts in 512 bytes, other shells in 1024.
        assert!(
            [1003 * 512, 1003 * 1024]
                .iter()
                .any(|limit| { completed_bytes <= *limit && *limit - completed_bytes < 4096 }),
            "{completed_bytes}"
        );
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written[..completed_bytes as usize], content[..completed_bytes as usize]);
    }
}
