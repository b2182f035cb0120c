//! A block: a directory with chunks, an index, tombstones and a meta.json.
//!
//! ```text
//! 01BX5ZZKBKACTAV9WEVGEMMVRZ/      the block's ULID, upper-case
//!   meta.json                      what it is: times, counts, how it came about
//!   index                          symbols, series, postings
//!   chunks/000001, 000002, ...     the samples
//!   tombstones                     what of them is deleted; may be absent
//! ```
//!
//! [`Block`] opens one for queries, mapped into memory; [`verify`] reads and checks all of one;
//! [`publish`] makes one appear. A published block never changes, but for its tombstones and its
//! meta.json, which are replaced whole.
//!
//! ```
//! use tsdb::block::{Block, list_blocks, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! for listed in list_blocks("../testdata/blocks/basic".as_ref())?.blocks {
//!     assert!(verify::Verifier::new().block(&listed.dir).findings.is_empty());
//!     let block = Block::open(&listed.dir)?;
//!     println!("{}: {} series", block.id(), block.meta().stats.num_series);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A mapping of a file on a failing device ends the process when the page is touched (SIGBUS):
//! that is how the kernel tells. Compactions read, and get an error.

mod chunk_reader;
mod index_reader;
pub mod leftovers;
mod list;
pub mod lock;
mod mapped;
mod open;
mod open_error;
pub mod publish;
mod read_error;
pub mod verify;

pub use chunk_reader::BlockChunk;
pub(crate) use chunk_reader::segment_paths;
pub use index_reader::{BlockIndex, LabelValue, LabelValues};
pub use list::{BlockList, ListProblem, ListedBlock, is_block_dir, list_blocks};
pub(crate) use open::META_BYTES_MAX;
pub use open::{Block, read_meta};
pub use open_error::{FilePart, MetaRule, OpenError};
pub use read_error::{BlockPart, ReadError};
