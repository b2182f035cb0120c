//! From flags to the engine: policy of I/O, options, cancellation by signal.

use std::path::Path;
use std::sync::Arc;

use tsdb::compact::planner::{LeveledPlanner, capped_block_ranges, max_block_range_ms};
use tsdb::compact::reencode::FloatEncoding;
use tsdb::compact::{CancelToken, CompactOptions, Compactor, Ledger, Merged};
use tsdb::vfs::{Io, OsVfs, Policy};

use crate::args::{FloatChunkEncoding, PlanningArgs, UncachedIo, WriteArgs};
use crate::output::UsageError;

/// The policy that the flags ask for.
pub(crate) fn policy(args: &WriteArgs) -> Result<Policy, UsageError> {
    let feature = args.enable_feature.iter().any(|feature| feature == "use-uncached-io");
    match (feature, args.uncached_io) {
        (true, Some(UncachedIo::Off | UncachedIo::Prefer)) => Err(UsageError(
            "--enable-feature=use-uncached-io means --uncached-io=required, but --uncached-io \
             says otherwise; give one of them"
                .to_owned(),
        )),
        (true, _) | (_, Some(UncachedIo::Required)) => Ok(Policy::Required),
        (_, Some(UncachedIo::Prefer)) => Ok(Policy::Prefer),
        (_, Some(UncachedIo::Off) | None) => Ok(Policy::Off),
    }
}

/// A compactor that writes to `dest`, and stops at SIGINT and SIGTERM.
pub(crate) fn compactor(args: &WriteArgs, dest: &Path) -> anyhow::Result<(Compactor, Io)> {
    let io = Io::probe(dest, policy(args)?)?;
    let vfs = Arc::new(OsVfs::new(io.clone()));
    let cancel = CancelToken::new();
    cancel_on_signal(&cancel)?;
    Ok((Compactor::new(vfs, options(args)).with_cancel(cancel), io))
}

/// A compactor that only looks: for plans and dry runs, also of directories that can't be written.
pub(crate) fn reader(args: Option<&WriteArgs>) -> anyhow::Result<Compactor> {
    let policy = args.map_or(Ok(Policy::Off), policy)?;
    let options = args.map_or_else(CompactOptions::default, options);
    Ok(Compactor::new(Arc::new(OsVfs::new(Io::for_reading(policy))), options))
}

fn options(args: &WriteArgs) -> CompactOptions {
    let mut options = CompactOptions::default();
    options.memory_budget_bytes = args.memory_budget;
    options.segment_bytes_max = args.segment_size;

    options.float_encoding = match args.float_chunk_encoding {
        FloatChunkEncoding::Xor => FloatEncoding::Xor,
        FloatChunkEncoding::Xor2 => FloatEncoding::Xor2,
    };
    if let Some(threads) = args.threads {
        options.threads = usize::from(threads);
    }
    options
}

/// The first SIGINT or SIGTERM stops between two batches and leaves nothing behind; a second one
/// ends the process, and the next run removes what is left.
pub(crate) fn cancel_on_signal(cancel: &CancelToken) -> anyhow::Result<()> {
    let cancel = cancel.clone();
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if cancel.is_cancelled() {
                std::process::exit(128 + signal);
            }
            eprintln!("stopping; nothing will be left behind");
            cancel.cancel();
        }
    });
    Ok(())
}

/// The planner that the flags describe.
pub(crate) fn planner(args: &PlanningArgs) -> Result<LeveledPlanner, UsageError> {
    let max = args.max_block_duration_ms.unwrap_or_else(|| max_block_range_ms(args.retention_ms));
    if max < args.min_block_duration_ms {
        return Err(UsageError(
            "--storage.tsdb.max-block-duration is below --storage.tsdb.min-block-duration"
                .to_owned(),
        ));
    }
    let planner = LeveledPlanner::new(capped_block_ranges(args.min_block_duration_ms, max))
        .map_err(|error| UsageError(error.to_string()))?;
    Ok(planner.enable_overlapping(args.allow_overlapping))
}

/// The result of a merge as `--json` has it.
pub(crate) fn merged_json(merged: &Merged) -> serde_json::Value {
    let block = merged.block.as_ref().map(|block| {
        serde_json::json!({
            "ulid": block.meta.ulid.to_string(),
            "path": block.path(),
            "minTime": block.meta.min_time,
            "maxTime": block.meta.max_time,
            "stats": block.meta.stats,
            "level": block.meta.compaction.level,
            "chunkBytes": block.chunk_bytes,
            "segments": block.segments,
            "indexBytes": block.index_bytes,
        })
    });
    serde_json::json!({
        "blocks": block.into_iter().collect::<Vec<_>>(),
        "samples": ledger_json(&merged.ledger),
        "bytesRead": merged.bytes_read,

    })
}

/// The books as `--json` has them.
fn ledger_json(ledger: &Ledger) -> serde_json::Value {
    serde_json::json!({
        "in": ledger.samples_in,
        "out": ledger.samples_out,
        "duplicate": ledger.duplicate,
        "supersededEqual": ledger.superseded_equal,
        "supersededConflicting": ledger.superseded_conflicting,
        "tombstoned": ledger.tombstoned,
        "outOfRange": ledger.out_of_range,
    })
}
