//! Merges blocks into one, past the page cache where that works:
//!
//! ```text
//! cargo run --release --example compact -- OUTPUT BLOCK BLOCK ...
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use tsdb::compact::{CompactOptions, Compactor};
use tsdb::vfs::{Io, OsVfs, Policy};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let output = args.next().ok_or("usage: compact OUTPUT BLOCK BLOCK ...")?;
    let blocks: Vec<PathBuf> = args.collect();

    let vfs = Arc::new(OsVfs::new(Io::probe(&output, Policy::Prefer)?));
    let merged = Compactor::new(vfs, CompactOptions::default()).merge(&blocks, &output)?;

    match &merged.block {
        Some(block) => {
            println!("{}: {} series", block.path().display(), block.meta.stats.num_series)
        }
        None => println!("no samples are left, so there is no block"),
    }
    println!("{:?}", merged.ledger);
    Ok(())
}
