//! Which filesystem a directory lies on.

use std::fs;
use std::path::Path;

/// As /proc/self/mountinfo has it; absent where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filesystem {
    /// `ext4`, `xfs`, ...
    pub(super) kind: Option<String>,
    /// The device, or what stands for one.
    pub(super) source: Option<String>,
}

impl Filesystem {
    pub(super) fn of(dir: &Path) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        dir.canonicalize().map(|dir| Self::among(&mounts, &dir)).unwrap_or_default()
    }

    /// The mount whose point is the longest one above `dir`; of several at one point the last,
    /// which covers the others.
    fn among(mounts: &str, dir: &Path) -> Self {
        let mut found = (0, Self::default());
        for mount in mounts.lines() {
            // `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw`
            let Some((before, after)) = mount.split_once(" - ") else { continue };
            let Some(point) = before.split(' ').nth(4).map(unescaped) else { continue };
            let mut words = after.split(' ').map(str::to_owned);
            if dir.starts_with(&point) && point.len() >= found.0 {
                found = (point.len(), Self { kind: words.next(), source: words.next() });
            }
        }
        found.1
    }

    /// `ext4 on /dev/sda1`.
    pub(super) fn text(&self) -> String {
        match (&self.kind, &self.source) {
            (Some(kind), Some(source)) if kind != source => format!("{kind} on {source}"),
            (Some(kind), _) => kind.clone(),
            (None, _) => "unknown filesystem".to_owned(),
        }
    }
}

/// The kernel writes a blank in a path as `\040`, and so on.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_wins_and_of_equal_ones_the_last() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      2 1 8:2 / /data rw shared:1 - xfs /dev/sdb rw\n\
                      3 2 8:3 / /data rw - btrfs /dev/sdc rw\n\
                      4 1 0:9 / /my\\040disk rw - tmpfs tmpfs rw\n";
        let text = |dir| Filesystem::among(mounts, Path::new(dir)).text();
        assert_eq!(text("/data/blocks"), "btrfs on /dev/sdc");
        assert_eq!(text("/database"), "ext4 on /dev/sda1");
        assert_eq!(text("/my disk/x"), "tmpfs");
        assert_eq!(Filesystem::among("", Path::new("/")).text(), "unknown filesystem");
    }
}
