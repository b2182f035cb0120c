//! Opening regular files, and nothing else.
//!
//! A path that somebody else supplies may lead to anything. Opening a named pipe waits until another
//! process opens its other end; opening a device does what its driver does, which may be to rewind a
//! tape. So what stands there is looked at first, and what was opened is looked at once more: it may
//! have been put there in between, and `O_NONBLOCK` sees to it that then nothing waits either.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use crate::sys;

/// What stands where a regular file should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotAFile {
    /// A directory.
    #[error("it is a directory, not a regular file")]
    Directory,
    /// A named pipe.
    #[error("it is a named pipe, not a regular file")]
    NamedPipe,
    /// A socket.
    #[error("it is a socket, not a regular file")]
    Socket,
    /// A device, of blocks or of characters.
    #[error("it is a device, not a regular file")]
    Device,
    /// Something that only this operating system knows.
    #[error("it is not a regular file")]
    Other,
}

impl NotAFile {
    /// What stood there, if that is why `error` came about.
    #[must_use]
    pub fn cause_of(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        match inner.downcast_ref::<crate::Error>() {
            Some(crate::Error::NotAFile { found, .. }) => Some(*found),
            _ => inner.downcast_ref::<Self>().copied(),
        }
    }
}

impl From<NotAFile> for io::Error {
    fn from(found: NotAFile) -> Self {
        Self::other(found)
    }
}

/// Opens the regular file at `path`, as `options` say but for their custom flags; without waiting,
/// whatever stands there.
///
/// ```
/// use std::fs::OpenOptions;
/// use uncached_io::{NotAFile, open_regular};
///
/// let error = open_regular(".".as_ref(), OpenOptions::new().read(true)).unwrap_err();
/// assert_eq!(NotAFile::cause_of(&error), Some(NotAFile::Directory));
/// ```
///
/// # Errors
///
/// If the file can't be opened, or is none: [`NotAFile::cause_of`] tells the two apart.
pub fn open_regular(path: &Path, options: &OpenOptions) -> io::Result<File> {
    open_with(path, &mut options.clone(), 0)
}

/// The same with custom flags.
pub(crate) fn open_with(path: &Path, options: &mut OpenOptions, flags: i32) -> io::Result<File> {
    // Where there is nothing it is to be created; else opening says why not.
    if let Ok(Some(found)) = sys::stranger_at(path) {
        return Err(found.into());
    }
    let file = sys::open_without_waiting(path, options, flags)?;
    match sys::stranger_in(&file)? {
        None => Ok(file),
        Some(found) => Err(found.into()),
    }
}
