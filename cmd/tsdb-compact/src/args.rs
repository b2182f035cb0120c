//! The command line, as it is parsed. Each command resolves its flags once, then runs.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use uncached_io::EngineKind;

use crate::commands;
use crate::units::{parse_bytes, parse_duration_ms, parse_rate, parse_segment_bytes};

/// Compacts Prometheus TSDB blocks: the blocks that Prometheus would have made, to the byte, in
/// bounded memory, past the page cache, with every sample accounted for.
#[derive(Debug, Parser)]
#[command(name = "tsdb-compact", version, max_term_width = 100)]
#[command(after_help = "Examples:
  tsdb-compact list /var/lib/prometheus
  tsdb-compact plan /var/lib/prometheus
  tsdb-compact compact /var/lib/prometheus --enable-feature=use-uncached-io
  tsdb-compact merge data/01HF... data/01HG... --output merged
  tsdb-compact verify merged
  tsdb-compact query merged 'up{job=\"node\"}' --count

`tsdb-compact COMMAND --help` has more of them.

Exit codes:
  0    done, and nothing wrong was found
  1    a finding, or a compaction that failed; the others were done
  2    wrong usage: unknown or contradicting flags, a path that does not exist or is of another
       kind than the command asks for
  130  stopped by SIGINT (Ctrl-C), 143 by SIGTERM, 129 by SIGHUP; nothing unfinished is left behind")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Print one JSON document (JSON lines for samples) instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only log messages with this severity or above, to stderr.
    #[arg(long = "log.level", global = true, value_enum, default_value_t = LogLevel::Warn)]
    pub(crate) log_level: LogLevel,
}

impl GlobalArgs {
    /// Whether nothing may be drawn: messages and a progress bar don't go together.
    pub(crate) fn no_progress(&self) -> bool {
        self.json || matches!(self.log_level, LogLevel::Debug | LogLevel::Info)
    }
}

/// Severities of log messages.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Compact(commands::compact::CompactArgs),
    Merge(commands::merge::MergeArgs),
    Plan(commands::plan::PlanArgs),
    List(commands::list::ListArgs),
    Verify(commands::verify::VerifyArgs),
    Dump(commands::dump::DumpArgs),
    Query(commands::query::QueryArgs),
    Probe(commands::probe::ProbeArgs),
    Compare(Box<commands::compare::CompareArgs>),
    Generate(commands::generate::GenerateArgs),
    #[command(hide = true)]
    CompareReader(commands::compare::ReaderArgs),
    #[command(hide = true)]
    Completions(commands::manual::CompletionsArgs),
    #[command(hide = true)]
    Man(commands::manual::ManArgs),
}

/// Whether chunks and index go past the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UncachedIo {
    /// Through the page cache, with few dirty pages at a time.
    Off,
    /// Past it where that works, and say why where it doesn't.
    Prefer,
    /// Past it, or an error before any work.
    Required,
}

/// How output goes to the disk.
#[derive(Debug, Clone, Args)]
pub(crate) struct UncachedArgs {
    /// Comma separated feature names; `use-uncached-io` means --uncached-io=required.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE", value_parser = ["use-uncached-io"])]
    pub(crate) enable_feature: Vec<String>,
    /// Whether sources, chunks and index go past the page cache.
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) uncached_io: Option<UncachedIo>,
}

/// How output is written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Writing")]
pub(crate) struct WriteArgs {
    #[command(flatten)]
    pub(crate) uncached: UncachedArgs,
    /// What writes, instead of what is found out to be best; `probe` shows what works, and how fast.
    /// The output does not depend on it.
    #[arg(long, value_name = "ENGINE", value_parser = engine_parser())]
    pub(crate) uncached_io_engine: Option<EngineKind>,
    /// Memory of all stages together: 48MiB, 1GiB, ...
    #[arg(long, value_name = "BYTES", default_value = "48MiB", value_parser = parse_bytes)]
    pub(crate) memory_budget: u64,
    /// Worker threads; all cores if not given, one for each 3 MiB of the memory budget at most. The
    /// output does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// The most bytes read and written in a second, together: 50MiB, ... What lies in the page cache
    /// already does not count.
    #[arg(long, value_name = "BYTES", value_parser = parse_rate)]
    pub(crate) io_limit: Option<NonZeroU64>,
    /// Adds to the niceness, so that others get the processor first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=19))]
    pub(crate) nice: Option<i32>,
    /// Length at which a chunk segment file ends.
    #[arg(
        long = "storage.tsdb.max-block-chunk-segment-size",
        visible_alias = "segment-size",
        value_name = "BYTES",
        default_value = "512MiB",
        value_parser = parse_segment_bytes
    )]
    pub(crate) segment_size: u64,
    /// Encoding of float chunks that have to be encoded anew, as Prometheus's
    /// storage.tsdb.chunk_encoding.floats.
    #[arg(long, value_enum, value_name = "ENCODING", default_value_t = FloatChunkEncoding::Xor)]
    pub(crate) float_chunk_encoding: FloatChunkEncoding,
    /// Read the finished block back and compare it with its sources before it is published.
    #[arg(long)]
    pub(crate) verify_output: bool,
}

/// Engines by their names.
fn engine_parser() -> impl TypedValueParser<Value = EngineKind> {
    let names = PossibleValuesParser::new(EngineKind::ALL.map(EngineKind::name));
    names.try_map(|name| name.parse::<EngineKind>())
}

/// Encodings of float chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FloatChunkEncoding {
    Xor,
    Xor2,
}

/// How a directory is planned.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Planning")]
pub(crate) struct PlanningArgs {
    /// The shortest block range, that of blocks flushed from the head.
    #[arg(
        long = "storage.tsdb.min-block-duration",
        value_name = "DURATION",
        default_value = "2h",
        value_parser = parse_duration_ms
    )]
    pub(crate) min_block_duration_ms: i64,
    /// The longest block range; if not given or 0, a tenth of the retention time, 31d at most.
    #[arg(
        long = "storage.tsdb.max-block-duration",
        value_name = "DURATION",
        value_parser = parse_duration_ms
    )]
    pub(crate) max_block_duration_ms: Option<i64>,
    /// Retention time of the Prometheus that the blocks belong to, 0 if it has none; nothing is
    /// deleted by it.
    #[arg(
        long = "storage.tsdb.retention.time",
        value_name = "DURATION",
        default_value = "15d",
        value_parser = parse_duration_ms
    )]
    pub(crate) retention_ms: i64,
    /// Merge blocks that overlap in time.
    #[arg(
        long = "storage.tsdb.allow-overlapping-compaction",
        value_name = "BOOL",
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub(crate) allow_overlapping: bool,
    /// Try blocks again that failed before: no mark of a failure counts, Prometheus's neither, and
    /// `compact` clears ours.
    #[arg(long)]
    pub(crate) retry_failed: bool,
}

/// A data directory.
#[derive(Debug, Clone, Args)]
pub(crate) struct DirArg {
    /// A directory of blocks, such as Prometheus's --storage.tsdb.path.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}
