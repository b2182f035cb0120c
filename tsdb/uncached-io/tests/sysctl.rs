//! `kernel.io_uring_disabled`, which is one setting for the whole machine: so in a binary of its
//! own, and set for some milliseconds only.

#![cfg(all(target_os = "linux", not(feature = "forcedirectio")))]

use uncached_io::{CreateOptions, EngineKind, EngineRefusal, Io, IoOptions, Policy, engines};

const SETTING: &str = "/proc/sys/kernel/io_uring_disabled";

/// The setting; put back when dropped.
struct Setting(String);

impl Setting {
    fn change_to(value: &str) -> std::io::Result<Self> {
        let before = std::fs::read_to_string(SETTING)?;
        let setting = Self(before.trim().to_owned());
        std::fs::write(SETTING, value)?;
        Ok(setting)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        let _ = std::fs::write(SETTING, &self.0);
    }
}

fn skip(why: &str) {
    let required = std::env::var("UNCACHED_IO_MOUNTS").is_ok_and(|value| value == "required");
    assert!(!required, "UNCACHED_IO_MOUNTS=required, but {why}");
    eprintln!("SKIPPED: {why}");
}

#[test]
fn io_uring_switched_off_is_said_and_a_thread_writes() {
    if std::env::var("UNCACHED_IO_MOUNTS").is_ok_and(|value| value == "elsewhere") {
        let line = b"ELSEWHERE: io_uring_switched_off_is_said_and_a_thread_writes\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line);
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    if let Err(error) = Io::probe(dir.path(), Policy::Required) {
        return skip(&format!("no uncached I/O on the disk of the build: {error:?}"));
    }
    let setting = match Setting::change_to("2") {
        Ok(setting) => setting,
        Err(error) => return skip(&format!("{SETTING} can't be set: {error}")),
    };
    let reports = engines(dir.path());
    let options = IoOptions::default().engine(EngineKind::IoUring);
    let io = Io::probe_with(dir.path(), Policy::Required, options).unwrap();
    let path = dir.path().join("file");
    let written = io.create(&path, CreateOptions::default()).and_then(|mut writer| {
        writer.write_all(&[7; 100_000])?;
        writer.finish()
    });
    drop(setting);

    let refusal = EngineRefusal::RingDisabled { setting: 2 };
    let ring = reports.iter().find(|report| report.kind == EngineKind::IoUring).unwrap();
    assert_eq!(ring.result, Err(refusal));
    assert_eq!(io.engine(), EngineKind::Thread);
    assert!(io.tried().iter().any(|it| it.result == Err(refusal)), "{:?}", io.tried());
    assert_eq!(written.unwrap().len_bytes, 100_000);
    assert_eq!(std::fs::read(&path).unwrap(), [7; 100_000]);
}
