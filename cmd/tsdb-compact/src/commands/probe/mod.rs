//! `probe`: what a directory can do.

mod filesystem;
mod measure;
mod report;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use tsdb::compact::CancelToken;
use tsdb::vfs::{FallbackReason, Mode, Policy, free_bytes};
use uncached_io::{Alignment, EngineKind, EngineReport, Error, Io, engines};

use self::filesystem::Filesystem;
use self::measure::{Measured, Slices};
use crate::args::GlobalArgs;
use crate::engine::cancel_on_signal;
use crate::errors::advice_on_io;
use crate::output::{Outcome, UsageError, print_json};
use crate::paths::require_directory;
use crate::units::{display_bytes, parse_bytes};

/// Find out whether a directory takes uncached I/O, by which engines, and how fast
///
/// Writes a file there with each engine in turn and deletes it again, looks into the page cache
/// meanwhile, and says which flags to use.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact probe /var/lib/prometheus
  tsdb-compact probe /var/lib/prometheus --seconds 0
  tsdb-compact probe /mnt/blocks --engines thread,buffered --seconds 20 --json

The engines take turns with one file each, so that what else the machine does meets all of them;
the final fsync of each file counts. The exit code is 1 if the directory takes no uncached I/O.")]
pub(crate) struct ProbeArgs {
    /// A directory of the disk in question; something is written there.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// How long each engine writes; 0 measures nothing.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    seconds: Duration,
    /// Engines to measure; all that work if not given.
    #[arg(long, value_name = "ENGINE", value_delimiter = ',',
          value_parser = ["io_uring", "thread", "blocking", "dontcache", "buffered"])]
    engines: Vec<String>,
    /// Length of a file; less if the disk has not eight times as much to spare.
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = parse_bytes)]
    file_size: u64,
}

/// Everything that was found out.
struct Probed {
    dir: PathBuf,
    filesystem: Filesystem,
    /// The alignment of direct I/O, or why there is none.
    direct: Result<Alignment, FallbackReason>,
    /// The engine that is used by default.
    engine: EngineKind,
    engines: Vec<(EngineReport, Option<Measured>)>,
    file_bytes: u64,
}

/// Below this a file says nothing.
const FILE_BYTES_MIN: u64 = 1 << 20;

pub(crate) fn run(args: &ProbeArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    require_directory(&args.dir, "a directory")?;
    if args.file_size < FILE_BYTES_MIN {
        let least = display_bytes(FILE_BYTES_MIN);
        return Err(UsageError(format!("--file-size is below the least, {least}")).into());
    }
    let (direct, engine) = look(args)?;
    let mut probed = Probed {
        dir: args.dir.clone(),
        filesystem: Filesystem::of(&args.dir),
        direct,
        engine,
        engines: engines(&args.dir).into_iter().map(|report| (report, None)).collect(),
        file_bytes: 0,
    };
    if !args.seconds.is_zero() {
        probed.file_bytes = file_bytes(args)?;
        measure(args, global, &mut probed)?;
    }
    if global.json {
        print_json(&probed.json())?;
    } else {
        probed.print()?;
    }
    Ok(if probed.direct.is_ok() { Outcome::Done } else { Outcome::Findings })
}

/// What the library makes of the directory by itself.
fn look(args: &ProbeArgs) -> anyhow::Result<(Result<Alignment, FallbackReason>, EngineKind)> {
    match Io::probe(&args.dir, Policy::Prefer) {
        Ok(io) => {
            let direct = match io.mode() {
                Mode::Direct(alignment) => Ok(*alignment),
                other => Err(other.fallback_reason().copied().unwrap_or(FallbackReason::PolicyOff)),
            };
            Ok((direct, io.engine()))
        }
        // Built with the feature forcedirectio there is no way around it.
        Err(Error::NotUncached { reason, .. }) => Ok((Err(reason), EngineKind::Buffered)),
        Err(error) => Err(refused(&args.dir, &error)),
    }
}

/// Never more than an eighth of what is free: a probe must not fill a disk that others write to.
fn file_bytes(args: &ProbeArgs) -> anyhow::Result<u64> {
    let free = free_bytes(&args.dir)?;
    let bytes = args.file_size.min(free / 8);
    if bytes < FILE_BYTES_MIN {
        let needed = display_bytes(FILE_BYTES_MIN * 8);
        return Err(anyhow!(
            "{} has {} free, too little to measure anything\n  free {needed}, or give --seconds 0 \
             to look without measuring",
            args.dir.display(),
            display_bytes(free),
        ));
    }
    Ok(bytes)
}

fn measure(args: &ProbeArgs, global: &GlobalArgs, probed: &mut Probed) -> anyhow::Result<()> {
    let cancel = CancelToken::new();
    cancel_on_signal(&cancel)?;
    let wanted = |kind: EngineKind| {
        args.engines.is_empty() || args.engines.iter().any(|name| name == kind.name())
    };
    let kinds: Vec<EngineKind> = probed
        .engines
        .iter()
        .filter(|(report, _)| report.result.is_ok() && wanted(report.kind))
        .map(|(report, _)| report.kind)
        .collect();
    let slices = Slices {
        dir: &args.dir,
        file_bytes: probed.file_bytes,
        time: args.seconds,
        cancel: &cancel,
        quiet: global.no_progress(),
    };
    let measured = slices.run(&kinds).map_err(|error| match error.downcast::<Error>() {
        Ok(error) => refused(&args.dir, &error),
        Err(error) => error,
    })?;
    for (kind, measured) in measured {
        let engine = probed.engines.iter_mut().find(|(report, _)| report.kind == kind);
        if let Some((_, place)) = engine {
            *place = Some(measured);
        }
    }
    Ok(())
}

/// That `dir` takes no files at all, why, and what to do.
fn refused(dir: &Path, error: &Error) -> anyhow::Error {
    let cause = io::Error::from(error.kind());
    let advice = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or give a smaller --file-size"
        }
        _ => advice_on_io(&cause)
            .unwrap_or("nothing can be written there; name a directory of the disk in question"),
    };
    anyhow!("cannot write to {}: {cause}\n  {advice}", dir.display())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let invalid = || format!("not a number of seconds from 0 to 3600: {text:?}");
    let seconds: f64 = text.parse().map_err(|_| invalid())?;
    if !(0.0..=3600.0).contains(&seconds) {
        return Err(invalid());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

impl Probed {
    fn measured(&self) -> impl Iterator<Item = (EngineKind, &Measured)> {
        self.engines.iter().filter_map(|(report, measured)| Some((report.kind, measured.as_ref()?)))
    }

    /// Whether the kernel let a direct write into the page cache although the probe saw none; the
    /// engine and the most pages at once.
    fn cached_anyway(&self) -> Option<(EngineKind, u64)> {
        let direct = self.measured().filter(|(kind, _)| kind.is_direct());
        let cached = direct.filter_map(|(kind, it)| Some((kind, it.cached_pages_max?)));
        cached.filter(|(_, pages)| *pages > 0).max_by_key(|(_, pages)| *pages)
    }
}
