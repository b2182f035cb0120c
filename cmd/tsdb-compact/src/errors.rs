//! Errors as people read them: the whole chain of causes, each said once, and what to do next.

use std::error::Error;
use std::io;

use tsdb::block::lock::LockError;
use tsdb::block::publish::PublishError;
use tsdb::compact::{CompactError, SourceFault};
pub(crate) use tsdb::vfs::error_chain as chain;
use tsdb::vfs::{NotAFile, Operation, SpaceError, VfsError};
use tsdb_format::meta::MetaError;

use crate::units::display_bytes;

/// A compaction's error, and what to do if the error does not say so itself.
pub(crate) fn with_advice(error: &CompactError) -> String {
    if let CompactError::Space(space) = error
        && let SpaceError::TooLittle { path, needed_bytes, free_bytes, .. } = &**space
    {
        return format!(
            "{} has {} free, but {} are needed\n  free {}, or write to another filesystem",
            path.display(),
            display_bytes(*free_bytes),
            display_bytes(*needed_bytes),
            display_bytes(needed_bytes.saturating_sub(*free_bytes)),
        );
    }
    let text = chain(error);
    match advice(error) {
        Some(advice) => format!("{text}\n  {advice}"),
        None => text,
    }
}

/// An error as `--json` has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) error: String,
    /// What to do, where that is known.
    pub(crate) advice: Option<String>,
}

/// Takes apart what is printed for people: advice stands below the error.
pub(crate) fn told(text: &str) -> Told {
    let mut lines = text.lines().map(str::trim);
    let error = lines.next().unwrap_or_default().to_owned();
    let advice = lines.collect::<Vec<_>>().join(" ");
    Told { error, advice: Some(advice).filter(|advice| !advice.is_empty()) }
}

/// What the user can do about it.
pub(crate) fn advice(error: &CompactError) -> Option<&'static str> {
    match error {
        CompactError::Source(source) => advice_on_source(&source.fault),
        CompactError::Vfs(error) => advice_on_effect(error),
        CompactError::Publish(PublishError::Vfs(error)) => advice_on_effect(error),
        CompactError::Publish(PublishError::Inspect { source, .. }) => advice_on_io(source),
        CompactError::Lock(LockError::Io { source, .. }) => advice_on_io(source),
        CompactError::Space(error) => match **error {
            SpaceError::Unknown { ref source, .. } => advice_on_io(source),
            _ => None,
        },
        CompactError::Plan(_) => Some("remove one of the two directories, or move it elsewhere"),
        _ => None,
    }
}

fn advice_on_source(fault: &SourceFault) -> Option<&'static str> {
    Some(match fault {
        SourceFault::UnknownEncoding(_) | SourceFault::WrongDirectory { .. } => return None,
        SourceFault::Meta(MetaError::Version(_)) => {
            "a newer version of tsdb-compact may be able to read it"
        }
        SourceFault::Meta(_) => {
            "restore meta.json from a backup, or move the block out of the data directory"
        }
        SourceFault::NotUtf8(_) => {
            "Prometheus accepts only UTF-8; leave the block out, or restore it from a backup"
        }
        _ => {
            "`tsdb-compact verify` names every fault of the block; restore it from a backup, or \
             move it out of the data directory"
        }
    })
}

fn advice_on_effect(error: &VfsError) -> Option<&'static str> {
    let named = |name| error.path.file_name().is_some_and(|file| file == name);
    if error.source.kind() == io::ErrorKind::NotFound && named("meta.json") {
        return Some(
            "without it this is no block: one that was not written or not deleted to the end, or \
             no block at all; restore it from a backup, or move the directory away",
        );
    }
    let absent = error.source.kind() == io::ErrorKind::NotFound;
    if absent && matches!(error.operation, Operation::Open | Operation::List) {
        return Some("the block is not whole; restore it from a backup, or move it away");
    }
    if error.operation == Operation::SetOwnership && error.is_permission_denied() {
        return Some(
            "a new block belongs to whom its sources belong to; run as that user or as root",
        );
    }
    if error.is_out_of_space() {
        return Some(
            "the disk is full; nothing was published and no source was touched; free some of it, or \
             write to another filesystem",
        );
    }
    advice_on_io(&error.source)
}

/// What to do about the error of the OS that is among the causes.
pub(crate) fn advice_on_cause(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return advice_on_io(io);
        }
        cause = error.source();
    }
    None
}

pub(crate) fn advice_on_io(error: &io::Error) -> Option<&'static str> {
    if NotAFile::cause_of(error).is_some() {
        return Some("take it away; if a file of a block should be there, restore the block");
    }
    // EMFILE, for which the standard library has no name.
    if error.raw_os_error() == Some(24) {
        return Some("this process may have too few files open at a time; raise `ulimit -n`");
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Some("run as the user who owns the directory, or grant access to it")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the filesystem is mounted read-only; mount it for writing, or write elsewhere")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("the disk is full; free some of it, or write to another filesystem")
        }
        _ => None,
    }
}
