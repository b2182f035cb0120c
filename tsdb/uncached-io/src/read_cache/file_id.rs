//! Which file a block belongs to.

use std::fs::Metadata;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::sys::{self, Identity};

/// Times of change are kept in steps of up to 2 s (FAT), and read off a clock that is one tick
/// late. A file that has rested for longer than that shows every later change by its time.
const RESTED: Duration = Duration::from_secs(3);

/// Equal only for what cannot differ in content, as long as files are rewritten by ordinary means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FileId {
    /// Had not changed for a while when it was opened.
    Rested { identity: Identity, len_bytes: u64 },
    /// Might change without its time showing it: every opening counts as another file.
    Fresh(u64),
}

impl FileId {
    /// Of the file that `metadata`, taken now, is about.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self::at(sys::identity_of(metadata), metadata.len(), SystemTime::now())
    }

    fn at(identity: Option<Identity>, len_bytes: u64, now: SystemTime) -> Self {
        static FRESH: AtomicU64 = AtomicU64::new(0);

        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_change_ns = |identity: &Identity| {
            since_1970.as_nanos().cast_signed() - i128::from(identity.changed_ns)
        };
        match identity {
            // A time in the future says nothing about when it was.
            Some(identity) if since_change_ns(&identity) > RESTED.as_nanos().cast_signed() => {
                Self::Rested { identity, len_bytes }
            }
            _ => Self::Fresh(FRESH.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(inode: u64, changed_ns: i64) -> Option<Identity> {
        Some(Identity { device: 1, inode, changed_ns })
    }

    #[test]
    fn a_file_at_rest_is_itself_and_no_other() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let id = FileId::at(identity(5, 90_000_000_000), 7, now);
        assert_eq!(id, FileId::at(identity(5, 90_000_000_000), 7, now + Duration::from_secs(9)));
        assert_ne!(id, FileId::at(identity(6, 90_000_000_000), 7, now), "another inode");
        assert_ne!(id, FileId::at(identity(5, 90_000_000_001), 7, now), "another time");
        assert_ne!(id, FileId::at(identity(5, 90_000_000_000), 8, now), "another length");
    }

    #[test]
    fn what_may_still_change_unseen_is_never_the_same_twice() {
        let now = UNIX_EPOCH + Duration::from_secs(100);
        let just_now = identity(5, 97_000_000_000);
        assert_ne!(FileId::at(just_now, 7, now), FileId::at(just_now, 7, now));
        let ahead = identity(5, 200_000_000_000);
        assert_ne!(FileId::at(ahead, 7, now), FileId::at(ahead, 7, now));
        assert_ne!(FileId::at(None, 7, now), FileId::at(None, 7, now));
        let rested = identity(5, 96_999_999_999);
        assert_eq!(FileId::at(rested, 7, now), FileId::at(rested, 7, now));
    }
}
