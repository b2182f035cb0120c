//! The head: what was appended since the last block.

pub(crate) mod chunk_files;
pub(crate) mod ooo;
pub(crate) mod replay;
mod sample;

pub use sample::{Exemplar, Metadata, Sample, SampleValue};
