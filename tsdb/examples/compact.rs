//! Compacts a directory of blocks by a planner and an exclude filter of one's own:
//!
//! ```text
//! cargo run --release --example compact -- DIR
//! ```

use std::{error::Error, path::PathBuf, sync::Arc};

use tsdb::compact::planner::{LeveledPlanner, Plan, PlanBlock, Planner, default_block_ranges};
use tsdb::compact::{CompactOptions, Compactor, DirectoryCompactor};
use tsdb::vfs::{Io, OsVfs, Policy};

/// Prometheus's planner, which is not shown what is large enough already.
struct SmallBlocks(LeveledPlanner);

impl Planner for SmallBlocks {
    fn plan(&self, blocks: &[&PlanBlock]) -> Plan {
        let small = |block: &&PlanBlock| block.num_series < 10_000_000;
        self.0.plan(&blocks.iter().copied().filter(small).collect::<Vec<_>>())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: compact DIR")?;
    let vfs = Arc::new(OsVfs::new(Io::probe(&dir, Policy::Prefer)?));
    let planner = SmallBlocks(LeveledPlanner::new(default_block_ranges(None))?);
    let in_use = |block: &PlanBlock| dir.join(&block.dir_name).join("in-use").exists();

    let report = DirectoryCompactor::new(Compactor::new(vfs, CompactOptions::default()), &planner)
        .exclude(&in_use)
        .run(&dir, &mut |_, sources| println!("compacting {} blocks", sources.len()))?;
    for merged in report.compactions.iter().filter_map(|tried| tried.result.as_ref().ok()) {
        println!("{:?}", merged.ledger);
    }
    if report.is_clean() { Ok(()) } else { Err("some blocks are left out".into()) }
}
