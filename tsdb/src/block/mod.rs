//! A block: a directory with chunks, an index, tombstones and a meta.json.

pub mod leftovers;
pub mod lock;
pub mod publish;
