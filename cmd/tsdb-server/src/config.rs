//! What the flags come to: resolved once, then only read.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use tsdb::compact::{CompactOptions, FloatEncoding};
use tsdb::db::{DbOptions, Retention};
use tsdb::head::{HeadLimits, HeadOptions};
use tsdb::vfs::Policy;
use tsdb::wal::{Compression, WalOptions};

use crate::args::{Args, StorageArgs, UncachedIo, WalCompression};
use crate::error::ConfigError;
use crate::features::Features;
use crate::units::{display_bytes, display_duration_ms};
use crate::write::{LabelLimits, MessageType};

/// How long the head of a request may take to arrive, and a connection be idle: whoever takes longer
/// only holds a place that others need.
const HEADER_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Longer frames are more than a reader should have to hold.
const FRAME_BYTES_MAX: usize = 32 << 20;
/// Calls of a database at a time for each core, of each kind.
const CALLS_PER_CORE: usize = 4;

/// How a server is run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// The file that says who is let in, and how TLS is spoken.
    pub web_config: Option<PathBuf>,
    /// Connections at a time.
    pub max_connections: usize,
    /// How long a request's head may take to arrive, and a connection be idle.
    pub header_timeout: Duration,
    /// How long a request may take to arrive, and how long nothing may move while it is answered.
    pub read_timeout: Duration,
    /// How long requests may go on after the server is told to stop.
    pub shutdown_timeout: Duration,
    /// The data directory.
    pub dir: PathBuf,
    /// How the database is kept.
    pub db: DbOptions,
    /// Features that are on.
    pub features: Features,
    /// Calls of the database at a time: appends, and apart from them queries.
    pub calls_max: usize,
    /// What comes in.
    pub remote_write: RemoteWrite,
    /// What goes out.
    pub remote_read: RemoteRead,
    /// Whether series may be deleted, and copies made, by request.
    pub enable_admin_api: bool,
    /// How often the server stores its own metrics; `None`: it does not.
    pub self_scrape_interval: Option<Duration>,
    /// Flags by name, as they apply.
    pub flags: BTreeMap<String, String>,
}

/// How remote write is taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteWrite {
    /// Whether it is.
    pub enabled: bool,
    /// Which messages are.
    pub messages: Vec<MessageType>,
    /// How many labels a series may have, and how long.
    pub label_limits: LabelLimits,
}

/// How remote reads are answered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteRead {
    /// The most samples of one read that is not streamed; 0 for no limit.
    pub samples_max: u64,
    /// Reads at a time.
    pub concurrent_max: usize,
    /// About as many bytes are in one frame of a stream.
    pub frame_bytes_max: usize,
}

impl Config {
    /// What `args` come to.
    ///
    /// # Errors
    /// They can't be followed.
    pub fn resolve(args: &Args) -> Result<Self, ConfigError> {
        let features = Features::parse(args.enable_feature.iter().map(String::as_str))?;
        let read_timeout = duration(args.web.read_timeout_ms);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            listen: resolve_addresses(&args.web.listen_addresses)?,
            web_config: args.web.config_file.clone(),
            max_connections: args.web.max_connections as usize,
            header_timeout: read_timeout.min(HEADER_TIMEOUT_MAX),
            read_timeout,
            shutdown_timeout: duration(args.web.shutdown_timeout_ms),
            dir: args.storage.path.clone(),
            db: db_options(&args.storage, features, uncached_io(args, features)?),
            features,
            calls_max: cores * CALLS_PER_CORE,
            remote_write: RemoteWrite {
                enabled: args.web.enable_remote_write_receiver,
                messages: args.web.accepted_protobuf_messages.clone(),
                label_limits: label_limits(&args.storage),
            },
            remote_read: remote_read(&args.storage, args.web.max_connections as usize),
            enable_admin_api: args.web.enable_admin_api,
            self_scrape_interval: Some(duration(args.web.self_scrape_interval_ms))
                .filter(|every| !every.is_zero()),
            flags: args.flags.clone(),
        })
    }

    /// Threads that may block at a time: those of appends, queries, reads and a few others.
    #[must_use]
    pub fn blocking_threads_max(&self) -> usize {
        2 * self.calls_max + self.remote_read.concurrent_max + 16
    }

    /// What the server calls itself in its own metrics: where it was asked to listen.
    pub(crate) fn instance(&self) -> String {
        self.listen.first().map_or_else(String::new, ToString::to_string)
    }

    /// The retention as Prometheus tells it: `15d`, or `15d or 512MiB`.
    pub(crate) fn retention_text(&self) -> String {
        let Retention { time_ms, bytes_max, .. } = self.db.retention;
        let time = (time_ms > 0).then(|| display_duration_ms(time_ms));
        let bytes = (bytes_max > 0).then(|| display_bytes(bytes_max));
        time.into_iter().chain(bytes).collect::<Vec<_>>().join(" or ")
    }
}

/// The addresses that names stand for. An empty host is all interfaces, as in Go.
fn resolve_addresses(given: &[String]) -> Result<Vec<SocketAddr>, ConfigError> {
    let mut all = Vec::new();
    for address in given {
        let full = match address.strip_prefix(':') {
            Some(port) => format!("[::]:{port}"),
            None => address.clone(),
        };
        let refused = |source| ConfigError::ListenAddress { address: address.clone(), source };
        all.extend(full.to_socket_addrs().map_err(refused)?.take(1));
    }
    Ok(all)
}

fn uncached_io(args: &Args, features: Features) -> Result<Policy, ConfigError> {
    match (args.uncached_io, features.use_uncached_io) {
        (None, false) | (Some(UncachedIo::Off), false) => Ok(Policy::Off),
        (Some(UncachedIo::Prefer), false) => Ok(Policy::Prefer),
        (None | Some(UncachedIo::Required), _) => Ok(Policy::Required),
        (Some(given), true) => Err(ConfigError::Contradiction { given: given.as_str() }),
    }
}

fn db_options(storage: &StorageArgs, features: Features, uncached_io: Policy) -> DbOptions {
    let is_xor2 = features.xor2_encoding || features.st_storage;
    let float_encoding = if is_xor2 { FloatEncoding::Xor2 } else { FloatEncoding::Xor };
    let wal = WalOptions::default().segment_bytes(storage.wal_segment_bytes).compression(
        match storage.wal_compression_type {
            WalCompression::None => Compression::None,
            WalCompression::Snappy => Compression::Snappy,
            WalCompression::Zstd => Compression::Zstd,
        },
    );
    let exemplars = if features.exemplar_storage { storage.max_exemplars } else { 0 };
    let mut head = HeadOptions::default()
        .out_of_order_window_ms(storage.out_of_order_time_window_ms)
        .float_encoding(float_encoding)
        .exemplars_max(size(exemplars))
        .wal(wal);
    if features.st_storage {
        head = head.start_timestamps();
    }
    head.histogram_start_timestamps |= features.histograms_st_encoding;
    head.limits =
        HeadLimits::default().series_max(storage.max_series).labels_max(size(storage.max_labels));
    let mut compact = CompactOptions::default();
    compact.float_encoding = float_encoding;
    DbOptions::default()
        .block_durations_ms(storage.min_block_duration_ms, storage.max_block_duration_ms)
        .retention(retention(storage))
        .head(head)
        .compact(compact)
        .uncached_io(uncached_io)
        .block_reload_interval(duration(storage.block_reload_interval_ms))
        .no_lockfile(storage.no_lockfile)
}

fn label_limits(storage: &StorageArgs) -> LabelLimits {
    LabelLimits {
        count_max: size(storage.max_labels),
        name_bytes_max: size(storage.max_label_name_bytes),
        value_bytes_max: size(storage.max_label_value_bytes),
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Without a limit, connections are one.
fn remote_read(storage: &StorageArgs, connections_max: usize) -> RemoteRead {
    let concurrent_max = match size(storage.read_concurrent_limit) {
        0 => connections_max,
        limit => limit.min(connections_max),
    };
    RemoteRead {
        samples_max: storage.read_sample_limit,
        concurrent_max,
        frame_bytes_max: size(storage.read_max_bytes_in_frame).clamp(1, FRAME_BYTES_MAX),
    }
}

/// With a size alone, time is no limit, as in Prometheus.
fn retention(storage: &StorageArgs) -> Retention {
    let bytes_max = storage.retention_size_bytes.unwrap_or(0);
    let time_ms = match storage.retention_time_ms {
        Some(time_ms) => time_ms,
        None if bytes_max > 0 => 0,
        None => Retention::default().time_ms,
    };
    Retention::unlimited().time_ms(time_ms).bytes_max(bytes_max)
}

fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> Result<Config, ConfigError> {
        Config::resolve(&Args::of_line([&["tsdb-server"], flags].concat()).unwrap())
    }

    #[test]
    fn it_listens_on_loopback_unless_told_otherwise() {
        let listen = config(&[]).unwrap().listen;
        assert!(listen.iter().all(|address| address.ip().is_loopback()), "{listen:?}");
        let all = config(&["--web.listen-address=:9091"]).unwrap().listen;
        assert!(all[0].ip().is_unspecified() && all[0].port() == 9091, "{all:?}");
        assert!(config(&["--web.listen-address=nonsense"]).is_err());
    }

    #[test]
    fn retention_is_fifteen_days_unless_anything_is_said() {
        let text = |flags: &[&str]| config(flags).unwrap().retention_text();
        assert_eq!(text(&[]), "15d");
        assert_eq!(text(&["--storage.tsdb.retention.size=512MB"]), "512MiB");
        let both = ["--storage.tsdb.retention.size=512MB", "--storage.tsdb.retention.time=3d"];
        assert_eq!(text(&both), "3d or 512MiB");
    }

    #[test]
    fn uncached_io_is_required_by_the_feature() {
        let feature = "--enable-feature=use-uncached-io";
        assert_eq!(config(&[feature]).unwrap().db.uncached_io, Policy::Required);
        assert!(config(&[feature, "--uncached-io=prefer"]).is_err());
        assert_eq!(config(&["--uncached-io=prefer"]).unwrap().db.uncached_io, Policy::Prefer);
    }

    #[test]
    fn st_storage_is_whole() {
        let head = config(&["--enable-feature=st-storage"]).unwrap().db.head;
        assert!(head.store_start_timestamps && head.histogram_start_timestamps);
        assert_eq!(head.float_encoding, FloatEncoding::Xor2);
    }
}
