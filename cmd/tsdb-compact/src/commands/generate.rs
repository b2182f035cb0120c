//! `generate`: realistic blocks for trials and benches.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use clap::{Args, ValueEnum};
use tsdb::block::lock::DataDirLock;
use tsdb::block::publish::PublishError;
use tsdb::compact::{BuiltBlock, CancelToken, CompactError};
use tsdb::generate::{Encoding, GenerateError, GenerateOptions, generate};
use tsdb::vfs::{OsVfs, Vfs};
use uncached_io::IoOptions;

use crate::args::{GlobalArgs, UncachedArgs};
use crate::engine::{cancel_on_signal, policy, probe};
use crate::errors::chain;
use crate::output::{EndedEarly, Outcome, Table, UsageError, path_json, print_json, say};
use crate::paths::output_dir;
use crate::units::{
    display_bytes, display_count, display_time, parse_duration_ms, parse_segment_bytes,
};

/// Make realistic blocks for trials and benches
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact generate --output data --series 100000 --blocks 3
  tsdb-compact generate -o data --series 600000 --samples 24 --interval 5m --blocks 3 --churn 0.4
  tsdb-compact generate --output data --series 40000 --blocks 2 --replicas 2
  tsdb-compact generate --output data --series 20000 --blocks 3 --histograms 0.25

The same flags make the same bytes. Labels and values are like those of Kubernetes pods and
node exporters. A range of 480 samples 15s apart is 2h long, as that of a block from the head.")]
pub(crate) struct GenerateArgs {
    /// Directory in which the blocks are made; it is created if it is not there.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Series of each block.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    series: u64,
    /// Samples of each series in each block.
    #[arg(long, value_name = "N", default_value_t = 480)]
    samples: u32,
    /// Time between two samples of a series.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = parse_duration_ms)]
    interval: i64,
    /// Time ranges, one after the other, each of `samples` times `interval`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    blocks: u32,
    /// Overlapping blocks for each time range: what so many servers would have that scrape the
    /// same targets, a quarter of these at the same milliseconds.
    #[arg(long, visible_alias = "overlap", value_name = "N", default_value_t = 1)]
    replicas: u32,
    /// Share of the targets that are replaced by new ones from one time range to the next.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    churn: f64,
    /// Share of the series that are native histograms.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    histograms: f64,
    /// Encodings of chunks, dealt out at random: those of floats to floats, the others to native
    /// histograms.
    #[arg(
        long,
        value_name = "ENCODING,...",
        value_enum,
        value_delimiter = ',',
        default_value = "xor,histogram"
    )]
    encodings: Vec<ChunkEncoding>,
    /// Share of the series of which something is deleted by tombstones.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    tombstones: f64,
    /// Start of the first block in milliseconds since 1970. Blocks of 2h are planned as such where
    /// they start at a multiple of 2h.
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 1_767_225_600_000,
        allow_negative_numbers = true
    )]
    start: i64,
    /// Other seeds make other targets, values and block names.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Length at which a chunk segment file ends.
    #[arg(
        long = "storage.tsdb.max-block-chunk-segment-size",
        visible_alias = "segment-size",
        value_name = "BYTES",
        default_value = "512MiB",
        value_parser = parse_segment_bytes
    )]
    segment_size: u64,
    #[command(flatten)]
    uncached: UncachedArgs,
}

/// Chunk encodings by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChunkEncoding {
    Xor,
    Xor2,
    Histogram,
    HistogramSt,
    FloatHistogram,
    FloatHistogramSt,
}

impl From<ChunkEncoding> for Encoding {
    fn from(encoding: ChunkEncoding) -> Self {
        match encoding {
            ChunkEncoding::Xor => Self::Xor,
            ChunkEncoding::Xor2 => Self::Xor2,
            ChunkEncoding::Histogram => Self::Histogram,
            ChunkEncoding::HistogramSt => Self::HistogramSt,
            ChunkEncoding::FloatHistogram => Self::FloatHistogram,
            ChunkEncoding::FloatHistogramSt => Self::FloatHistogramSt,
        }
    }
}

pub(crate) fn run(args: &GenerateArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    let options = options(args);
    // Before the directory is made: wrong flags leave nothing behind.
    options.validate().map_err(|error| UsageError(error.to_string()))?;
    let policy = policy(&args.uncached)?;
    let _output = output_dir(&args.output)?;
    let _lock = DataDirLock::acquire_if_present(&args.output).map_err(CompactError::from)?;
    let io = probe(&args.output, policy, IoOptions::default())?;
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(io));
    let cancel = CancelToken::new();
    cancel_on_signal(&cancel)?;

    let started = Instant::now();
    let mut blocks = Vec::new();
    let outcome = generate(&vfs, &args.output, &options, &cancel, |block| {
        blocks.push(block.clone());
    });
    match outcome {
        Ok(()) => {}
        Err(GenerateError::Options(error)) => return Err(UsageError(error.to_string()).into()),
        Err(error @ GenerateError::Write(CompactError::Publish(PublishError::Exists { .. }))) => {
            bail!(
                "{}\n  block names depend on --seed and the time range only; remove the block, or \
                 choose another --seed, --start or --output",
                chain(&error)
            );
        }
        Err(GenerateError::Write(error)) => {
            if !global.json && !blocks.is_empty() {
                print_blocks(&blocks, started)?;
            }
            return Err(EndedEarly { error, document: blocks_json(&blocks) }.into());
        }
        Err(error) => return Err(error.into()),
    }
    if global.json {
        print_json(&blocks_json(&blocks))?;
    } else {
        print_blocks(&blocks, started)?;
    }
    Ok(Outcome::Done)
}

fn blocks_json(blocks: &[BuiltBlock]) -> serde_json::Value {
    serde_json::json!({ "blocks": blocks.iter().map(block_json).collect::<Vec<_>>() })
}

fn options(args: &GenerateArgs) -> GenerateOptions {
    let mut options = GenerateOptions::default();
    options.series = args.series;
    options.samples = args.samples;
    options.interval_ms = args.interval;
    options.blocks = args.blocks;
    options.replicas = args.replicas;
    options.churn = args.churn;
    options.histogram_share = args.histograms;
    options.encodings = args.encodings.iter().copied().map(Encoding::from).collect();
    options.tombstone_share = args.tombstones;
    options.start_ms = args.start;
    options.seed = args.seed;
    options.segment_bytes_max = args.segment_size;
    options
}

fn block_json(block: &BuiltBlock) -> serde_json::Value {
    serde_json::json!({
        "ulid": block.meta.ulid.to_string(),
        "path": path_json(&block.path),
        "minTime": block.meta.min_time,
        "maxTime": block.meta.max_time,
        "stats": block.meta.stats,
        "chunkBytes": block.chunk_bytes,
        "indexBytes": block.index_bytes,
    })
}

fn print_blocks(blocks: &[BuiltBlock], started: Instant) -> anyhow::Result<()> {
    let mut table =
        Table::new(&["BLOCK", "FROM", "TO", "SERIES", "CHUNKS", "SAMPLES", "CHUNK BYTES", "INDEX"]);
    for block in blocks {
        let stats = &block.meta.stats;
        table.row(vec![
            block.meta.ulid.to_string(),
            display_time(block.meta.min_time),
            display_time(block.meta.max_time),
            display_count(stats.num_series),
            display_count(stats.num_chunks),
            display_count(stats.num_samples),
            display_bytes(block.chunk_bytes),
            display_bytes(block.index_bytes),
        ]);
    }
    table.print()?;
    let bytes: u64 = blocks.iter().map(|block| block.chunk_bytes + block.index_bytes).sum();
    let samples: u64 = blocks.iter().map(|block| block.meta.stats.num_samples).sum();
    say!(
        "{} block{}, {} samples, {} in {:.2} s",
        blocks.len(),
        if blocks.len() == 1 { "" } else { "s" },
        display_count(samples),
        display_bytes(bytes),
        started.elapsed().as_secs_f64()
    );
    Ok(())
}
