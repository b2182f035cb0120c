//! What the kernel counted of this process's I/O: `/proc/self/io`.
//!
//! ```text
//! rchar: 323934931            one line a counter, decimal
//! wchar: 323929600
//! ...
//! ```
//!
//! `read_bytes` and `write_bytes` count direct and buffered I/O alike; what distinguishes the
//! two is the page cache, see [`cached_pages`](crate::cached_pages).

use std::io;

/// Counters since the process began, its threads and the children it has waited for included;
/// or their growth, see [`ProcessIo::since`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessIo {
    /// Bytes that `read` and its like returned, wherever they came from.
    pub rchar: u64,
    /// Bytes that `write` and its like took.
    pub wchar: u64,
    /// Calls of `read` and its like.
    pub syscr: u64,
    /// Calls of `write` and its like.
    pub syscw: u64,
    /// Bytes that devices had to deliver.
    pub read_bytes: u64,
    /// Bytes that devices had to take, or will have to once dirty pages are written back.
    pub write_bytes: u64,
    /// Of these, bytes that were dropped again before they were written (truncated files).
    pub cancelled_write_bytes: u64,
}

impl ProcessIo {
    /// The counters now.
    ///
    /// # Errors
    ///
    /// `NotFound` without `/proc` (or on other systems than Linux), `Unsupported` where the
    /// kernel was built without the counters, `InvalidData` if they don't read as above.
    pub fn now() -> io::Result<Self> {
        match std::fs::read_to_string("/proc/self/io") {
            Ok(text) => Self::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into()),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && std::path::Path::new("/proc/self").exists() =>
            {
                Err(io::ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error),
        }
    }

    /// The growth since `earlier`; 0 where a counter went back.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            rchar: self.rchar.saturating_sub(earlier.rchar),
            wchar: self.wchar.saturating_sub(earlier.wchar),
            syscr: self.syscr.saturating_sub(earlier.syscr),
            syscw: self.syscw.saturating_sub(earlier.syscw),
            read_bytes: self.read_bytes.saturating_sub(earlier.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(earlier.write_bytes),
            cancelled_write_bytes: self
                .cancelled_write_bytes
                .saturating_sub(earlier.cancelled_write_bytes),
        }
    }

    /// `None` unless each counter is there once and is a number. Lines of other names are
    /// passed over: a later kernel may count more.
    fn parse(text: &str) -> Option<Self> {
        const NAMES: [&str; 7] = [
            "rchar",
            "wchar",
            "syscr",
            "syscw",
            "read_bytes",
            "write_bytes",
            "cancelled_write_bytes",
        ];
        let mut values = [None; NAMES.len()];
        for line in text.lines() {
            let (name, value) = line.split_once(':')?;
            let Some(at) = NAMES.iter().position(|known| *known == name) else { continue };
            if values[at].replace(value.trim().parse().ok()?).is_some() {
                return None;
            }
        }
        let [rchar, wchar, syscr, syscw, read_bytes, write_bytes, cancelled_write_bytes] = values;
        Some(Self {
            rchar: rchar?,
            wchar: wchar?,
            syscr: syscr?,
            syscw: syscw?,
            read_bytes: read_bytes?,
            write_bytes: write_bytes?,
            cancelled_write_bytes: cancelled_write_bytes?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "rchar: 11\nwchar: 12\nsyscr: 13\nsyscw: 14\nread_bytes: 15\n\
                        write_bytes: 16\ncancelled_write_bytes: 17\n";

    #[test]
    fn each_counter_is_its_own_line() {
        let io = ProcessIo::parse(TEXT).unwrap();
        assert_eq!([io.rchar, io.wchar, io.syscr, io.syscw], [11, 12, 13, 14]);
        assert_eq!([io.read_bytes, io.write_bytes, io.cancelled_write_bytes], [15, 16, 17]);
        let later = ProcessIo::parse(&format!("{TEXT}new_counter: 5\n")).unwrap();
        assert_eq!(later, io, "what is not known yet is passed over");
    }

    #[test]
    fn what_is_cut_off_doubled_or_no_number_is_refused() {
        for cut in 1..TEXT.len() - 1 {
            let kept = &TEXT[..cut];
            let whole = kept.ends_with("cancelled_write_bytes: 1");
            assert_eq!(ProcessIo::parse(kept).is_some(), whole, "{kept:?}");
        }
        assert_eq!(ProcessIo::parse(&format!("{TEXT}rchar: 11\n")), None);
        assert_eq!(ProcessIo::parse(&TEXT.replace("13", "-13")), None);
        assert_eq!(ProcessIo::parse(&TEXT.replace("13", "99999999999999999999")), None);
        assert_eq!(ProcessIo::parse(""), None);
    }

    #[test]
    fn growth_never_wraps() {
        let (small, large) = (
            ProcessIo::parse(TEXT).unwrap(),
            ProcessIo::parse(&TEXT.replace(": 1", ": 9")).unwrap(),
        );
        let growth = large.since(&small);
        assert_eq!([growth.rchar, growth.wchar, growth.syscr, growth.syscw], [80; 4]);
        assert_eq!([growth.read_bytes, growth.write_bytes, growth.cancelled_write_bytes], [80; 3]);
        assert_eq!(small.since(&large), ProcessIo::default());
    }
}
