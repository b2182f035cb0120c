//! The index of a block.

mod toc;

pub use toc::{TOC_BYTES, Toc};
