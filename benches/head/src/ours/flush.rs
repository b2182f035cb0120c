//! From the head into blocks, and blocks into larger ones.

use std::time::Duration;

use anyhow::Result;

use super::fill::Filler;
use super::{Figures, Stopwatch};
use crate::args::Spec;

/// Makes a block of a full head, then truncates it.
pub(crate) fn flush(spec: &Spec) -> Result<Figures> {
    let mut filler = Filler::new(spec)?;
    filler.fill()?;
    filler.db.head().map_chunks()?;
    let mut figures = Figures::new();
    let watch = Stopwatch::start();
    let flushed = filler.db.flush()?;
    watch.add_to(&mut figures, "");
    anyhow::ensure!(flushed.blocks.len() == 1, "{} blocks", flushed.blocks.len());
    let samples: u64 = filler.db.blocks().iter().map(|b| b.meta().stats.num_samples).sum();
    figures.insert("samples".to_owned(), samples as f64);
    filler.db.close()?;
    Ok(figures)
}

/// Appends as fast as it can while the database flushes and compacts, then waits until there is
/// nothing left to compact.
pub(crate) fn load(spec: &Spec) -> Result<Figures> {
    let mut filler = Filler::new(spec)?;
    filler.db.set_auto_compaction(true);
    let mut figures = Figures::new();
    let watch = Stopwatch::start();
    filler.fill()?;
    let seconds = watch.add_to(&mut figures, "load_");
    let samples = spec.series as f64 * spec.samples as f64;
    figures.insert("samples".to_owned(), samples);
    figures.insert("load_samples_per_second".to_owned(), samples / seconds);
    // Until a compaction finds nothing to do, twice.
    let blocks = || -> Vec<_> { filler.db.blocks().iter().map(|block| block.id()).collect() };
    let mut idle = 0;
    while idle < 2 {
        let before = blocks();
        filler.db.flush()?;
        filler.db.compact()?;
        idle = if before == blocks() { idle + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(10));
    }
    let seconds = watch.add_to(&mut figures, "compacted_");
    figures.insert("compacted_samples_per_second".to_owned(), samples / seconds);
    figures.insert("blocks".to_owned(), blocks().len() as f64);
    filler.db.close()?;
    Ok(figures)
}
