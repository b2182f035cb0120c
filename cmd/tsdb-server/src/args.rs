//! The command line, as it is parsed: Prometheus's names where it has them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::units::{parse_bytes, parse_count, parse_duration_ms};
use crate::write::MessageType;

/// A monitoring server: takes samples by remote write, keeps them in a Prometheus-compatible TSDB
/// that compacts past the page cache, and gives them to a real Prometheus by remote read.
#[derive(Debug, Clone, Parser)]
#[command(name = "tsdb-server", version, max_term_width = 100)]
#[non_exhaustive]
pub struct Args {
    /// Flags by name as they apply, for `/api/v1/status/flags`.
    #[arg(skip)]
    pub flags: BTreeMap<String, String>,
    /// What is served.
    #[command(flatten)]
    pub web: WebArgs,
    /// Where and how samples are stored.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Comma separated feature names: exemplar-storage, metadata-wal-records, st-storage,
    /// xor2-encoding, histograms-st-encoding, use-uncached-io.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
    pub enable_feature: Vec<String>,
    /// Whether bulk I/O goes past the page cache; `use-uncached-io` means `required`.
    #[arg(long, value_enum, value_name = "WHEN")]
    pub uncached_io: Option<UncachedIo>,
    /// Only log messages with this severity or above, to stderr.
    #[arg(long = "log.level", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
}

/// What is served, to whom, and how much of it at a time.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Web")]
#[non_exhaustive]
pub struct WebArgs {
    /// Address to listen on. Can be repeated. Prometheus listens on all interfaces unless told
    /// otherwise, this on loopback.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9090",
        value_delimiter = ','
    )]
    pub listen_addresses: Vec<String>,
    /// Configuration file that can enable TLS or authentication.
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// How long a request may take to arrive.
    #[arg(
        long = "web.read-timeout",
        value_name = "DURATION",
        default_value = "5m",
        value_parser = parse_duration_ms
    )]
    pub read_timeout_ms: i64,
    /// Connections at a time, over all addresses.
    #[arg(
        long = "web.max-connections",
        value_name = "N",
        default_value_t = 512,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_connections: u32,
    /// Answer `/api/v1/admin`.
    #[arg(long = "web.enable-admin-api")]
    pub enable_admin_api: bool,
    /// Take remote write requests.
    #[arg(long = "web.enable-remote-write-receiver")]
    pub enable_remote_write_receiver: bool,
    /// Messages of remote write that are taken.
    #[arg(
        long = "web.remote-write-receiver.accepted-protobuf-messages",
        value_enum,
        value_name = "MESSAGE",
        value_delimiter = ',',
        default_values_t = [MessageType::V1, MessageType::V2]
    )]
    pub accepted_protobuf_messages: Vec<MessageType>,
    /// How often the server stores its own metrics. 0: never.
    #[arg(
        long = "web.self-scrape-interval",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = parse_duration_ms
    )]
    pub self_scrape_interval_ms: i64,
    /// How long requests under way may go on after SIGTERM.
    #[arg(
        long = "web.shutdown-timeout",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = parse_duration_ms
    )]
    pub shutdown_timeout_ms: i64,
}

/// Where and how samples are stored.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Storage")]
#[non_exhaustive]
pub struct StorageArgs {
    /// Base path for metrics storage.
    #[arg(long = "storage.tsdb.path", value_name = "DIR", default_value = "data/")]
    pub path: PathBuf,
    /// How long to keep samples; 15d if neither this nor the size is given. 0: for ever.
    #[arg(
        long = "storage.tsdb.retention.time",
        value_name = "DURATION",
        value_parser = parse_duration_ms
    )]
    pub retention_time_ms: Option<i64>,
    /// How many bytes of blocks to keep: 512MB, 1GiB, ... 0: no limit.
    #[arg(long = "storage.tsdb.retention.size", value_name = "BYTES", value_parser = parse_bytes)]
    pub retention_size_bytes: Option<u64>,
    /// Samples up to this much older than the newest one are taken out of order. In Prometheus,
    /// `out_of_order_time_window` of its configuration file.
    #[arg(
        long = "storage.tsdb.out-of-order-time-window",
        value_name = "DURATION",
        default_value = "0s",
        value_parser = parse_duration_ms
    )]
    pub out_of_order_time_window_ms: i64,
    /// Most samples of one remote read, all of its queries together. 0: no limit. Ignored for
    /// streamed responses.
    #[arg(
        long = "storage.remote.read-sample-limit",
        value_name = "N",
        default_value = "5e7",
        value_parser = parse_count
    )]
    pub read_sample_limit: u64,
    /// Remote reads at a time. 0: no limit but that of connections.
    #[arg(
        long = "storage.remote.read-concurrent-limit",
        value_name = "N",
        default_value = "10",
        value_parser = parse_count
    )]
    pub read_concurrent_limit: u64,
    /// About as many bytes are in one frame of a streamed remote read.
    #[arg(
        long = "storage.remote.read-max-bytes-in-frame",
        value_name = "BYTES",
        default_value = "1048576",
        value_parser = parse_count
    )]
    pub read_max_bytes_in_frame: u64,
    /// Don't lock the data directory.
    #[arg(long = "storage.tsdb.no-lockfile")]
    pub no_lockfile: bool,
    /// How the write-ahead log is compressed.
    #[arg(
        long = "storage.tsdb.wal-compression-type",
        value_enum,
        value_name = "TYPE",
        default_value_t = WalCompression::Snappy
    )]
    pub wal_compression_type: WalCompression,
    /// Length of a segment of the write-ahead log.
    #[arg(
        long = "storage.tsdb.wal-segment-size",
        hide = true,
        value_name = "BYTES",
        default_value = "128MB",
        value_parser = parse_bytes
    )]
    pub wal_segment_bytes: u64,
    /// Length of the blocks that are cut from the head.
    #[arg(
        long = "storage.tsdb.min-block-duration",
        hide = true,
        value_name = "DURATION",
        default_value = "2h",
        value_parser = parse_duration_ms
    )]
    pub min_block_duration_ms: i64,
    /// Length of the longest block; a tenth of the retention time if not given.
    #[arg(
        long = "storage.tsdb.max-block-duration",
        hide = true,
        value_name = "DURATION",
        value_parser = parse_duration_ms
    )]
    pub max_block_duration_ms: Option<i64>,
    /// How often blocks are listed again.
    #[arg(
        long = "storage.tsdb.block-reload-interval",
        hide = true,
        value_name = "DURATION",
        default_value = "1m",
        value_parser = parse_duration_ms
    )]
    pub block_reload_interval_ms: i64,
    /// How many exemplars are kept with the feature exemplar-storage. In Prometheus,
    /// `max_exemplars` of its configuration file.
    #[arg(
        long = "storage.exemplars.max-exemplars",
        value_name = "N",
        default_value = "100000",
        value_parser = parse_count
    )]
    pub max_exemplars: u64,
    /// Most series in the head; those beyond are refused. 0: no limit.
    #[arg(
        long = "storage.limits.max-series",
        value_name = "N",
        default_value = "0",
        value_parser = parse_count
    )]
    pub max_series: u64,
    /// Most labels of a series; series with more are refused. 0: no limit.
    #[arg(
        long = "storage.limits.max-labels-per-series",
        value_name = "N",
        default_value = "128",
        value_parser = parse_count
    )]
    pub max_labels: u64,
    /// Longest name of a label, in bytes; series with longer ones are refused. 0: no limit.
    #[arg(
        long = "storage.limits.max-label-name-length",
        value_name = "BYTES",
        default_value = "1024",
        value_parser = parse_count
    )]
    pub max_label_name_bytes: u64,
    /// Longest value of a label, in bytes; series with longer ones are refused. 0: no limit.
    #[arg(
        long = "storage.limits.max-label-value-length",
        value_name = "BYTES",
        default_value = "65536",
        value_parser = parse_count
    )]
    pub max_label_value_bytes: u64,
}

/// How the write-ahead log is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WalCompression {
    /// Not at all.
    None,
    /// By snappy's block format.
    Snappy,
    /// By Zstandard.
    Zstd,
}

/// Whether bulk I/O goes past the page cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UncachedIo {
    /// Through the page cache, with few dirty pages at a time.
    Off,
    /// Past it where that works, and say why where it doesn't.
    Prefer,
    /// Past it, or an error before anything else.
    Required,
}

impl UncachedIo {
    /// As it is given on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Prefer => "prefer",
            Self::Required => "required",
        }
    }
}

/// Severities of log messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator may want to know.
    Info,
    /// What may need a look.
    Warn,
    /// What needs one.
    Error,
}

impl Args {
    /// The flags of this process. Ends it where they are wrong, or ask for help.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of_line(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// The flags of a command line, whose first word is the program's name.
    ///
    /// # Errors
    /// They are wrong, or ask for help.
    pub fn of_line<W>(line: impl IntoIterator<Item = W>) -> Result<Self, clap::Error>
    where
        W: Into<std::ffi::OsString> + Clone,
    {
        let matches = Self::command().try_get_matches_from(line)?;
        let mut args = Self::from_arg_matches(&matches)?;
        args.flags = flags_as_they_apply(&matches);
        Ok(args)
    }
}

/// All flags by name, with what was given or the default; empty where there is neither.
fn flags_as_they_apply(matches: &ArgMatches) -> BTreeMap<String, String> {
    let command = Args::command();
    let flags = command.get_arguments().filter_map(|arg| Some((arg.get_long()?, arg.get_id())));
    flags
        .filter(|(name, _)| !matches!(*name, "help" | "version"))
        .map(|(name, id)| {
            let values = matches.try_get_raw(id.as_str()).ok().flatten();
            let values = values.map(|values| values.map(|value| value.to_string_lossy()));
            let text =
                values.map(|values| values.collect::<Vec<_>>().join(",")).unwrap_or_default();
            (name.to_owned(), text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_as_they_apply() {
        let line =
            ["tsdb-server", "--storage.tsdb.retention.time=3d", "--storage.tsdb.no-lockfile"];
        let args = Args::of_line(line).unwrap();
        let told = |name: &str| args.flags[name].as_str();
        assert_eq!(told("storage.tsdb.retention.time"), "3d");
        assert_eq!(told("storage.tsdb.no-lockfile"), "true");
        assert_eq!(told("web.listen-address"), "127.0.0.1:9090");
        assert_eq!(told("storage.tsdb.retention.size"), "");
        assert!(!args.flags.contains_key("help"));
    }

    #[test]
    fn the_command_is_sound() {
        Args::command().debug_assert();
    }
}
