//! One holder at a time, named to whoever comes second.

use super::*;

#[test]
fn the_second_one_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = DataDirLock::acquire(dir.path()).unwrap();
    let error = DataDirLock::acquire(dir.path()).unwrap_err();
    let LockError::Held { holder: Some(holder), .. } = &error else { panic!("{error:?}") };
    assert_eq!(holder.pid, std::process::id());
    let command = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(holder.command.as_deref(), Some(command.trim_end()));
    assert!(error.to_string().contains(&holder.pid.to_string()), "{error}");
    drop(first);
    DataDirLock::acquire(dir.path()).unwrap();
}

#[test]
fn the_file_is_gone_after_release_and_a_leftover_one_is_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    fs::write(&path, b"").unwrap();
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    assert!(path.exists());
    drop(lock);
    assert!(!path.exists());
    drop(DataDirLock::acquire(dir.path()).unwrap());
    assert!(!path.exists());
}

#[test]
fn where_nobody_ever_locked_nothing_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    assert!(DataDirLock::acquire_if_present(dir.path()).unwrap().is_none());
    assert!(!dir.path().join("lock").exists());

    let first = DataDirLock::acquire(dir.path()).unwrap();
    let second = DataDirLock::acquire_if_present(dir.path());
    assert!(matches!(second, Err(LockError::Held { holder: Some(_), .. })), "{second:?}");
    drop(first);

    fs::write(dir.path().join("lock"), b"").unwrap();
    let lock = DataDirLock::acquire_if_present(dir.path()).unwrap().unwrap();
    assert!(matches!(DataDirLock::acquire(dir.path()), Err(LockError::Held { .. })));
    drop(lock);
}

#[test]
fn a_lock_file_that_was_removed_or_replaced_is_noticed_and_left_to_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let first = DataDirLock::acquire(dir.path()).unwrap();
    first.check().unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(first.check(), Err(LockError::Lost { .. })));
    let second = DataDirLock::acquire(dir.path()).unwrap();
    assert!(matches!(first.check(), Err(LockError::Lost { .. })));
    drop(first);
    assert!(path.exists(), "the second one's file");
    second.check().unwrap();
}

#[test]
fn a_lock_is_for_its_directory_however_that_is_written() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    assert!(lock.is_for(&dir.path().join(".")) && !lock.is_for(other.path()));
    assert!(!lock.is_for(&dir.path().join("absent")));
}

#[test]
fn a_new_lock_file_belongs_to_the_directorys_owner() {
    let dir = tempfile::tempdir().unwrap();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a directory of someone else");
        return;
    }
    std::os::unix::fs::chown(dir.path(), Some(1234), Some(2345)).unwrap();
    let lock = DataDirLock::acquire(dir.path()).unwrap();
    let metadata = lock.file.metadata().unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (1234, 2345));
}

#[test]
fn an_absent_directory_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let error = DataDirLock::acquire(&dir.path().join("absent")).unwrap_err();
    assert!(matches!(&error, LockError::Io { source, .. }
        if source.kind() == io::ErrorKind::NotFound));
    assert!(error.to_string().contains("absent"));
}

/// A `/proc` with these locks, and for process 4711 a name and the given file open.
fn fake_proc(locks: &str, open: &Path) -> tempfile::TempDir {
    let proc = tempfile::tempdir().unwrap();
    fs::write(proc.path().join("locks"), locks).unwrap();
    let process = proc.path().join("4711");
    fs::create_dir_all(process.join("fd")).unwrap();
    fs::write(process.join("comm"), "prometheus\n").unwrap();
    std::os::unix::fs::symlink(open, process.join("fd/3")).unwrap();
    proc
}

#[test]
fn holders_are_found_where_devices_differ_and_waiters_are_not_holders() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    let inode = file.as_file().metadata().unwrap().ino();
    let find = |locks: &str, open: &Path| {
        let proc = fake_proc(locks, open);
        holder_of(file.as_file(), proc.path()).unwrap()
    };
    let elsewhere = format!("1: FLOCK  ADVISORY  WRITE 4711 ff:ff:{inode} 0 EOF\n");
    let holder = find(&elsewhere, file.path()).unwrap();
    assert_eq!(holder.to_string(), "prometheus (process 4711)");
    assert_eq!(find(&elsewhere, other.path()), None, "the same inode of another filesystem");
    let waiting = format!("1: -> FLOCK  ADVISORY  WRITE 4711 ff:ff:{inode} 0 EOF\n");
    assert_eq!(find(&waiting, file.path()), None);
    let posix = format!("1: POSIX  ADVISORY  WRITE 4711 ff:ff:{inode} 0 EOF\n");
    assert_eq!(find(&posix, file.path()), None);
    assert_eq!(find("nonsense\n\n1: FLOCK\n", file.path()), None);
}

#[test]
fn of_a_lock_that_outlived_its_process_the_one_that_inherited_it_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let inode = file.as_file().metadata().unwrap().ino();
    let device = file.as_file().metadata().unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let locks = format!("1: FLOCK  ADVISORY  WRITE 4710 {major:x}:{minor:x}:{inode} 0 EOF\n");
    let find = |open: &Path| {
        let proc = fake_proc(&locks, open);
        holder_of(file.as_file(), proc.path()).unwrap().unwrap().to_string()
    };
    assert_eq!(find(file.path()), "prometheus (process 4711)");
    let other = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(find(other.path()), "process 4710", "nobody else is known");
}
