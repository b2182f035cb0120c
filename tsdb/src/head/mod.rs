//! The head: what was appended since the last block.

pub(crate) mod chunk_files;
pub(crate) mod ooo;
mod sample;

pub use sample::{Exemplar, Metadata, Sample, SampleValue};
