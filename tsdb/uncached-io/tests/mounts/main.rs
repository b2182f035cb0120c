//! On real filesystems and under real faults: loop mounts, memory cgroups, seccomp, power cuts.
//!
//! Each test mounts small images in a mount namespace of its own thread, so whatever happens,
//! nothing stays mounted. Needs root; a test that can't run says `SKIPPED` on stderr, and with
//! `UNCACHED_IO_MOUNTS=required` it fails instead. `UNCACHED_IO_MOUNTS=elsewhere` leaves all of them
//! to another run, and says so.

#![cfg(all(target_os = "linux", not(feature = "forcedirectio")))]
#![expect(clippy::unwrap_used, reason = "the helpers below belong to tests")]

mod cache;
mod cgroup;
mod child;
mod content;
mod expected;
mod identical;
mod kill;
mod mount;
mod no_space;
mod power_cut;
mod refused;
mod resume;
mod seccomp;
mod table;
