//! A disk that is full for a while.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::load::{METRICS, STEP_MS, STEPS, now_ms, send};
use crate::process::{Process, free_address};
use crate::programs;
use crate::promql::{compare, queries};
use crate::round_trip::{reader, sender, wait_for_arrival};

/// How long the server may take to notice.
const NOTICED_WAIT: Duration = Duration::from_secs(60);

/// A small filesystem, unmounted when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// An ext4 of a file beside it. `None`: not without root.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let image = at.with_extension("image");
        File::create(&image).unwrap().set_len(48 << 20).unwrap();
        let is_well =
            |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        if is_well(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))
            && is_well(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at))
        {
            return Some(Self(at.to_owned()));
        }
        let line = b"SKIPPED, no disk was filled: an image can't be mounted\n";
        let _ = std::io::stderr().write_all(line);
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for piece in [&[7u8; 1 << 20][..], &[7; 1 << 12]] {
            while filler.write_all(piece).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Whether a remote write was answered so that its sender will try again.
fn has_refused(ours: &Process) -> bool {
    let metrics = ours.get("/metrics").unwrap();
    let mut lines = metrics.text().lines();
    lines.any(|line| {
        line.starts_with("prometheus_http_requests_total{code=\"5")
            && line.contains("handler=\"/api/v1/write\"")
    })
}

#[test]
fn a_full_disk_leaves_no_gap_and_no_duplicate() {
    let Some(programs) = programs::get() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&dir.path().join("disk")) else { return };
    let (data, address) = (disk.0.join("data"), free_address());
    let flags = ["--storage.tsdb.wal-segment-size=1MB"];
    let ours = Process::ours(&data, address, &flags);
    let message = "io.prometheus.write.v2.Request";
    let sender = sender(programs, dir.path(), address, message);
    let reader = reader(programs, dir.path(), address);
    let from_ms = now_ms() + 2000;
    send(&sender, from_ms, 0..STEPS / 3);
    disk.fill();
    send(&sender, from_ms, STEPS / 3..STEPS * 2 / 3);
    let begun = Instant::now();
    while !has_refused(&ours) {
        assert!(begun.elapsed() < NOTICED_WAIT, "no remote write is refused");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Whatever it says of its end, it comes in time.
    ours.terminate();
    fs::remove_file(disk.filler()).unwrap();
    let ours = Process::ours(&data, address, &flags);
    send(&sender, from_ms, STEPS * 2 / 3..STEPS);
    let end_ms = from_ms + STEPS * STEP_MS;
    wait_for_arrival(&reader, &sender, &METRICS, end_ms);
    compare(&reader, &sender, &queries(), (from_ms, end_ms));
    assert!(ours.terminate().success());
}
