//! What is no file is refused by what it is, and nobody waits for it.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use uncached_io::{CreateOptions, Error, Io, NotAFile, Policy};

use crate::disk_dir;

/// Whatever can stand under a file's name.
fn strangers(dir: &Path) -> Vec<(PathBuf, NotAFile)> {
    let [pipe, socket, device, directory] =
        ["pipe", "socket", "device", "directory"].map(|name| dir.join(name));
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
    mknodat(CWD, &socket, FileType::Socket, mode, 0).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
    std::fs::create_dir(&directory).unwrap();
    vec![
        (pipe, NotAFile::NamedPipe),
        (socket, NotAFile::Socket),
        (device, NotAFile::Device),
        (directory, NotAFile::Directory),
    ]
}

/// What `work` comes to, if it does not take for ever.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("it waits for the other end")
}

fn found(outcome: Result<(), Error>) -> NotAFile {
    match outcome {
        Err(Error::NotAFile { found, .. }) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strangers_are_refused_by_name_whatever_is_done_with_them() {
    let dir = disk_dir();
    for (path, expected) in strangers(dir.path()) {
        for policy in [Policy::Off, Policy::Prefer] {
            let io = Io::probe(dir.path(), policy).unwrap();
            let at = path.clone();
            let (read, replaced, resumed) = in_time(move || {
                let options = CreateOptions::default;
                (
                    io.open(&at).map(|_| ()),
                    io.create(&at, options().replace(true)).map(|_| ()),
                    io.resume(&at, 0, options()).map(|_| ()),
                )
            });
            for outcome in [read, replaced, resumed] {
                assert_eq!(found(outcome), expected, "{policy:?}");
            }
        }
    }
    let names = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 4, "all of them are still there");
}

#[test]
fn the_error_says_path_and_kind() {
    let dir = disk_dir();
    let (pipe, _) = strangers(dir.path()).swap_remove(0);
    let error = Io::for_reading(Policy::Off).open(&pipe).unwrap_err();
    let expected = format!("open {}: it is a named pipe, not a regular file", pipe.display());
    assert_eq!(error.to_string(), expected);
    assert_eq!(NotAFile::cause_of(&error.into()), Some(NotAFile::NamedPipe));
}

/// A file that is opened so is read as any other: without `O_NONBLOCK`.
#[test]
fn an_opened_file_waits_for_its_disk() {
    let dir = disk_dir();
    let path = dir.path().join("file");
    std::fs::write(&path, "x").unwrap();
    let file = uncached_io::open_regular(&path, std::fs::OpenOptions::new().read(true)).unwrap();
    let flags = rustix::fs::fcntl_getfl(&file).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "{flags:?}");
}
