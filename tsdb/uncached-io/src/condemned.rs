//! Files of which a sync has failed, remembered for as long as the process lives.
//!
//! The kernel reports a lost page to those who have the file open at the time, and once: whoever
//! opens it later and syncs is told that all is well. So such a file is not resumed.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::sys::FileKey;

/// The files that must be made anew. A failed sync is rare, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Condemned {
    keys: Mutex<Vec<FileKey>>,
}

impl Condemned {
    /// Those that all files of this process share.
    pub(crate) fn of_process() -> Arc<Self> {
        static OF_PROCESS: LazyLock<Arc<Condemned>> = LazyLock::new(Arc::default);
        Arc::clone(&OF_PROCESS)
    }

    /// Remembers a file; one that can't be told apart from others is not remembered.
    pub(crate) fn add(&self, key: Option<FileKey>) {
        let Some(key) = key else { return };
        let mut keys = self.lock();
        if !keys.iter().any(|known| same(known, &key)) {
            keys.push(key);
        }
    }

    /// Whether a sync of this file has failed.
    pub(crate) fn has(&self, key: Option<FileKey>) -> bool {
        key.is_some_and(|key| self.lock().iter().any(|known| same(known, &key)))
    }

    /// The file was made anew.
    pub(crate) fn forgive(&self, key: Option<FileKey>) {
        if let Some(key) = key {
            self.lock().retain(|known| !same(known, &key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FileKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where it is not known when one of them was made, the number decides.
fn same(one: &FileKey, other: &FileKey) -> bool {
    let times = one.created.zip(other.created);
    (one.device, one.inode) == (other.device, other.inode) && times.is_none_or(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn key(inode: u64, made: Option<u64>) -> Option<FileKey> {
        let created = made.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        Some(FileKey { device: 1, inode, created })
    }

    #[test]
    fn a_file_is_known_by_number_and_time_of_birth_until_it_is_made_anew() {
        let condemned = Condemned::default();
        condemned.add(None);
        condemned.add(key(5, Some(7)));
        assert!(condemned.has(key(5, Some(7))));
        assert!(condemned.has(key(5, None)), "who knows");
        assert!(!condemned.has(key(5, Some(8))), "another with the number of a removed one");
        assert!(!condemned.has(key(6, Some(7))));
        assert!(!condemned.has(None));
        condemned.forgive(key(5, Some(7)));
        assert!(!condemned.has(key(5, Some(7))));
    }
}
