//! Times queries over the blocks of a data directory.
//!
//! ```text
//! cargo run --release -p tsdb-engine --example query -- DIR [LABEL] [PATTERN] [REPEATS]
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tsdb::block::{Block, list_blocks};
use tsdb::query::{MatchOp, Matcher, Querier, QueryError, Samples, TimeRange};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().ok_or("a directory is needed")?);
    let label = args.next().unwrap_or_else(|| "pod".to_owned());
    let pattern = args.next().unwrap_or_else(|| ".*1.*".to_owned());
    let repeats: u32 = args.next().map_or(Ok(3), |text| text.parse())?;
    let listed = list_blocks(&dir)?.blocks;
    let (blocks, opened) = best(repeats, || {
        let blocks: Result<Vec<Block>, _> = listed.iter().map(|b| Block::open(&b.dir)).collect();
        blocks
    });
    let blocks = blocks?;
    println!("open {} blocks: {opened:?}", blocks.len());
    let querier = Querier::new(&blocks);
    let (series, took) = best(repeats, || count_series(&querier, &[]));
    println!("all {} series: {took:?}", series?);
    let (samples, took) = best(repeats, || count_samples(&querier));
    println!("all {}", show(samples?, took));
    let (samples, took) = best(repeats, || count_floats(&querier));
    println!("in runs, all {}", show(samples?, took));
    let (values, took) = best(repeats, || querier.label_values(&label, &[], TimeRange::ALL));
    println!("{} values of {label}: {took:?}", values.all()?.len());
    let matcher = Matcher::new(&label, MatchOp::Regex, &pattern)?;
    let (series, took) = best(repeats, || count_series(&querier, std::slice::from_ref(&matcher)));
    println!("{} series of {matcher}: {took:?}", series?);
    Ok(())
}

/// The result of the last run, and the time of the fastest.
fn best<T>(repeats: u32, mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut timed = || {
        let start = Instant::now();
        let result = run();
        (result, start.elapsed())
    };
    let (mut result, mut least) = timed();
    for _ in 1..repeats {
        let (again, took) = timed();
        (result, least) = (again, least.min(took));
    }
    (result, least)
}

fn show((samples, sum): (u64, u64), took: Duration) -> String {
    let rate = samples as f64 / took.as_secs_f64() / 1e6;
    format!("{samples} samples ({sum:x}): {took:?}, {rate:.1} million/s")
}

fn count_series(querier: &Querier<'_>, matchers: &[Matcher]) -> Result<u64, Box<dyn Error>> {
    let mut set = querier.select(matchers, TimeRange::ALL)?;
    let mut count = 0;
    while let Some(series) = set.next()? {
        count += u64::from(!series.labels().is_empty());
    }
    Ok(count)
}

/// How many samples there are, and what their times and values add up to.
fn count_samples(querier: &Querier<'_>) -> Result<(u64, u64), QueryError> {
    let mut set = querier.select(&[], TimeRange::ALL)?;
    let mut samples = Samples::new();
    let (mut count, mut sum) = (0, 0u64);
    while let Some(series) = set.next()? {
        series.samples(&mut samples);
        while samples.next()?.is_some() {
            count += 1;
            sum = sum.wrapping_add(samples.timestamp() as u64 ^ samples.float().to_bits());
        }
    }
    Ok((count, sum))
}

/// The same of floats alone, many at a time.
fn count_floats(querier: &Querier<'_>) -> Result<(u64, u64), QueryError> {
    let mut set = querier.select(&[], TimeRange::ALL)?;
    let mut samples = Samples::new();
    let (mut count, mut sum) = (0, 0u64);
    while let Some(series) = set.next()? {
        series.samples(&mut samples);
        while let Some(run) = samples.next_floats()? {
            count += run.values.len() as u64;
            for (&t, value) in run.timestamps.iter().zip(run.values) {
                sum = sum.wrapping_add(t as u64 ^ value.to_bits());
            }
        }
    }
    Ok((count, sum))
}
