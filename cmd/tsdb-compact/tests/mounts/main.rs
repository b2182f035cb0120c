//! Whole compactions on small filesystems of their own, each in a memory cgroup: what of the page
//! cache they take, index and source reads included.
//!
//! Needs root; a test that can't run says `SKIPPED` on stderr, and with
//! `UNCACHED_IO_MOUNTS=required` it fails instead. `UNCACHED_IO_MOUNTS=elsewhere` leaves all of them
//! to another run, and says so.
#![cfg(all(target_os = "linux", not(feature = "forcedirectio")))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../../tsdb/uncached-io/tests/mounts/cgroup.rs"]
#[expect(dead_code, reason = "the tests of the crate use the rest")]
mod cgroup;
#[path = "../../../../tsdb/uncached-io/tests/mounts/mount.rs"]
#[expect(dead_code, reason = "the tests of the crate use the rest")]
mod mount;

mod page_cache;
mod run;
mod through;
