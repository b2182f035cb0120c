//! What the kernel counts, and dropping.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use uncached_io::{CacheQuery, cached_pages, cached_pages_in, drop_cached, page_bytes};

use crate::{cached, chill, cold_file, direct_io, disk_dir, pattern, warm};

const LEN: usize = 1 << 20;

#[test]
fn pages_are_counted_by_range() {
    let dir = disk_dir();
    let Some(io) = direct_io(dir.path()) else { return };
    let path = cold_file(&io, dir.path(), LEN);
    if cached(&path).is_none() {
        return;
    }
    let page = page_bytes();
    warm(&path, 16 * page, 8 * page as usize);
    let file = File::open(&path).unwrap();
    let count = |range| cached_pages_in(&file, range).unwrap().unwrap().cached;
    assert_eq!(cached_pages(&file).unwrap().unwrap().cached, 8);
    assert_eq!(count(0..u64::MAX), 8);
    assert_eq!(count(0..16 * page), 0);
    assert_eq!(count(0..16 * page + 1), 1);
    assert_eq!(count(20 * page..22 * page), 2);
    assert_eq!(count(23 * page + 5..23 * page + 6), 1);
    assert_eq!(count(24 * page..u64::MAX), 0);
    assert_eq!(count(17 * page..17 * page), 0, "an empty range, which the kernel takes for all");
    assert_eq!(count(5 << 30..6 << 30), 0, "beyond the end");
}

#[test]
fn dirty_pages_are_counted_and_dropped_only_once_they_are_clean() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(&pattern(LEN)).unwrap();
    let Some(pages) = cached(&path) else { return };
    assert_eq!(pages.answered_by, CacheQuery::Cachestat);
    let all = LEN as u64 / page_bytes();
    assert_eq!(pages.cached, all);
    assert!(pages.dirty + pages.writeback > 0, "{pages:?}");
    file.sync_all().unwrap();
    assert_eq!((cached(&path).unwrap().dirty, cached(&path).unwrap().writeback), (0, 0));

    drop_cached(&file, 0..0).unwrap();
    assert_eq!(cached(&path).unwrap().cached, all, "an empty range, which is all to the kernel");
    drop_cached(&file, 0..LEN as u64 / 2).unwrap();
    // Folios that reach into the other half may stay whole.
    assert!((all / 2..=all).contains(&cached(&path).unwrap().cached));
    drop_cached(&file, 0..u64::MAX).unwrap();
    assert_eq!(cached(&path).unwrap().cached, 0);
    assert_eq!(std::fs::read(&path).unwrap(), pattern(LEN));
}

/// A process in a small memory cgroup reads a file that does not fit: most of it is evicted.
#[test]
fn pages_that_had_to_make_room_are_counted() {
    let group = PathBuf::from(format!("/sys/fs/cgroup/memory/uncached-io-{}", std::process::id()));
    if let Err(error) = std::fs::create_dir(&group) {
        return eprintln!("SKIPPED: no memory cgroup (version 1) of our own: {error}");
    }
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(24 << 20)).unwrap();
    chill(&path);
    let outcome = read_within(&group, &path, 8 << 20);
    let pages = cached(&path);
    std::fs::remove_dir(&group).unwrap();
    if let Err(reason) = outcome {
        return eprintln!("SKIPPED: {reason}");
    }
    let Some(pages) = pages else { return };
    assert!(pages.cached < (9 << 20) / page_bytes(), "{pages:?}");
    // The kernel forgets some of the 16 MiB again.
    assert!(pages.evicted > 0, "{pages:?}");
    assert!(pages.recently_evicted <= pages.evicted, "{pages:?}");
}

fn read_within(group: &Path, file: &Path, limit_bytes: u64) -> Result<(), String> {
    std::fs::write(group.join("memory.limit_in_bytes"), limit_bytes.to_string())
        .map_err(|error| format!("no limit: {error}"))?;
    let status = Command::new("sh")
        .args(["-c", "echo $$ > \"$1/cgroup.procs\" && exec cat \"$2\" > /dev/null", "sh"])
        .args([group, file])
        .status()
        .map_err(|error| format!("no shell: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the reader ended with {status}")) }
}

/// Whoever neither owns a file nor may write it gets an error, not an invented count.
#[test]
fn of_files_of_others_nothing_is_claimed() {
    let program = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir().unwrap();
    // In a directory that everybody may enter, as the build's need not be.
    let copy = dir.path().join("it");
    std::fs::copy(&program, &copy).unwrap();
    open_to_all(dir.path());
    let path = dir.path().join("file");
    std::fs::write(&path, pattern(LEN)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .args(["--exact", "--ignored", "--nocapture", "page_cache::child_asks_for_anothers_file"])
        .env("ANOTHERS_FILE", &path)
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("asked, and refused"), "{said}");
        }
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("setpriv:") => {
            eprintln!("SKIPPED: not root: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output) => panic!("{output:?}"),
        Err(error) => eprintln!("SKIPPED: no setpriv: {error}"),
    }
}

#[test]
#[ignore = "run by of_files_of_others_nothing_is_claimed"]
fn child_asks_for_anothers_file() {
    let path = std::env::var_os("ANOTHERS_FILE").unwrap();
    let file = File::open(path).unwrap();
    let error = cached_pages(&file).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    println!("asked, and refused");
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}
