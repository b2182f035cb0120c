//! Hostile bytes for every decoder.
//!
//! ```text
//!  seeds      what testdata's blocks hold, cut into what a target takes
//!    |
//!    +-->  libFuzzer (feature `libfuzzer`)   mutates, guided by coverage; --> Target::check
//!    +-->  mutate                            the same input for the same seed, on stable Rust
//! ```
//!
//! A [`Target`] hands bytes to a decoder and asserts what must hold for any bytes: it does not
//! panic, holds no more memory than [`Target::limit_bytes`] allows, and what it decoded survives
//! being encoded and decoded again. Where a checksum would keep mutated bytes from everything
//! behind it, the target makes it right first.
//!
//! ```
//! let target = tsdb_fuzz::target("symbols").ok_or("no such target")?;
//! for seed in tsdb_fuzz::seeds(target).iter().take(3) {
//!     target.check(seed);
//! }
//! # Ok::<(), &str>(())
//! ```

mod allocation;
mod mutate;
mod run;
mod seeds;
mod targets;

pub use allocation::peak_bytes;
pub use mutate::Mutator;
pub use run::run;
pub use seeds::seeds;
pub use targets::{TARGETS, Target, target};

#[cfg(feature = "libfuzzer")]
#[doc(hidden)]
pub use libfuzzer_sys;

/// The entry point of a libFuzzer program for the target of this name.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! libfuzzer {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            static TARGET: std::sync::LazyLock<&$crate::Target> =
                std::sync::LazyLock::new(|| $crate::target($name).expect("a target of that name"));
            TARGET.check(data);
        });
    };
}
