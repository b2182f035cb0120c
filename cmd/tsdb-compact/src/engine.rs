//! From flags to the engine: policy of I/O, options, cancellation by signal.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, anyhow};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tsdb::block::publish::OwnershipRule;
use tsdb::compact::FloatEncoding;
use tsdb::compact::planner::{LeveledPlanner, capped_block_ranges, max_block_range_ms};
use tsdb::compact::{CancelToken, CompactOptions, Compactor, MEMORY_BUDGET_BYTES_MIN};
use tsdb::vfs::{FallbackReason, Io, OsVfs, Policy};
use uncached_io::IoOptions;

use crate::args::{FloatChunkEncoding, PlanningArgs, UncachedArgs, UncachedIo, WriteArgs};
use crate::errors::{advice_on_io, chain};
use crate::output::{UsageError, complain};
use crate::units::display_bytes;

/// The policy that the flags ask for.
pub(crate) fn policy(args: &UncachedArgs) -> Result<Policy, UsageError> {
    let feature = args.enable_feature.iter().any(|feature| feature == "use-uncached-io");
    match (feature, args.uncached_io) {
        (true, Some(UncachedIo::Off | UncachedIo::Prefer)) => Err(UsageError(
            "--enable-feature=use-uncached-io means --uncached-io=required, but --uncached-io says \
             otherwise; give one of them"
                .to_owned(),
        )),
        (true, _) => Ok(Policy::Required),
        (false, when) => Ok(policy_of(when.unwrap_or(UncachedIo::Off))),
    }
}

pub(crate) fn policy_of(when: UncachedIo) -> Policy {
    match when {
        UncachedIo::Off => Policy::Off,
        UncachedIo::Prefer => Policy::Prefer,
        UncachedIo::Required => Policy::Required,
    }
}

/// The engine that the flags ask for, if it goes with the policy.
fn io_options(args: &WriteArgs, policy: Policy) -> Result<IoOptions, UsageError> {
    let paced = IoOptions::default().bytes_per_second_max(args.io_limit);
    let Some(engine) = args.uncached_io_engine else { return Ok(paced) };
    let why = match policy.effective() {
        Policy::Off if engine.is_direct() => {
            "goes past the page cache, which --uncached-io=prefer or required asks for"
        }
        Policy::Required if !engine.is_direct() => {
            "goes through the page cache, which is not what --uncached-io=required asks for"
        }
        _ => return Ok(paced.engine(engine)),
    };
    Err(UsageError(format!("--uncached-io-engine={engine} {why}")))
}

/// A compactor that writes to `dest`, and stops at SIGINT and SIGTERM.
pub(crate) fn compactor(
    args: &WriteArgs,
    dest: &Path,
    ownership: OwnershipRule,
) -> anyhow::Result<(Compactor, Io)> {
    let mut options = options(args)?;
    options.ownership = ownership;
    if let Some(nice) = args.nice {
        // Threads inherit it, and none of those that compact is there yet.
        rustix::process::nice(nice).context("cannot change the niceness")?;
    }
    let policy = policy(&args.uncached)?;
    let io = probe(dest, policy, io_options(args, policy)?)?;
    let vfs = Arc::new(OsVfs::new(io.clone()));
    let cancel = CancelToken::new();
    cancel_on_signal(&cancel)?;
    Ok((Compactor::new(vfs, options).with_cancel(cancel), io))
}

/// How files of `dest` can be written.
pub(crate) fn probe(dest: &Path, policy: Policy, options: IoOptions) -> anyhow::Result<Io> {
    match Io::probe_with(dest, policy, options) {
        Ok(io) => {
            warn(dest, policy, &options, &io);
            Ok(io)
        }
        Err(error) if is_refusal(&error) => Err(not_uncached(&error)),
        Err(error) => Err(cannot_write(dest, &error)),
    }
}

/// Whether uncached I/O is required and not to be had.
fn is_refusal(error: &uncached_io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

fn not_uncached(error: &uncached_io::Error) -> anyhow::Error {
    let advice = "--uncached-io=prefer goes through the page cache where it has to; or write to \
                  another filesystem";
    anyhow!("{}\n  {advice}", chain(error))
}

/// Says what differs from what was asked for, and why.
fn warn(dest: &Path, policy: Policy, options: &IoOptions, io: &Io) {
    let dest = dest.display();
    match io.mode().fallback_reason() {
        Some(FallbackReason::EngineAsked(_)) | None => {}
        Some(reason) if policy == Policy::Prefer => {
            complain!("warning: {dest}: {}; going through the page cache", chain(reason));
            return;
        }
        Some(_) => {}
    }
    for tried in io.tried().iter().filter(|tried| options.engine == Some(tried.kind)) {
        if let Err(refusal) = &tried.result {
            let (kind, engine) = (tried.kind, io.engine());
            complain!("warning: {dest}: {kind}: {}; writing by {engine}", chain(refusal));
        }
    }
}

/// That `dest` takes no files, why, and what to do.
pub(crate) fn cannot_write(dest: &Path, error: &uncached_io::Error) -> anyhow::Error {
    let cause = io::Error::from(error.kind());
    let advice = advice_on_io(&cause).map_or_else(String::new, |advice| format!("\n  {advice}"));
    anyhow!("cannot write to {}: {cause}{advice}", dest.display())
}

/// A compactor that only looks: for plans, also of directories that can't be written.
pub(crate) fn reader() -> Compactor {
    let vfs = OsVfs::new(Io::for_reading(Policy::Off));
    Compactor::new(Arc::new(vfs), CompactOptions::default())
}

/// A compactor for a dry run of writing to `dest`. What the run itself would be refused for want of
/// uncached I/O is refused here; whoever may only look at `dest` is told the rest all the same.
pub(crate) fn rehearsal(args: &WriteArgs, dest: &Path) -> anyhow::Result<Compactor> {
    let (policy, options) = (policy(&args.uncached)?, options(args)?);
    let io_options = io_options(args, policy)?;
    match Io::probe_with(dest, policy, io_options) {
        Ok(io) => warn(dest, policy, &io_options, &io),
        Err(error) if is_refusal(&error) => return Err(not_uncached(&error)),
        Err(_) => {}
    }
    Ok(Compactor::new(Arc::new(OsVfs::new(Io::for_reading(policy))), options))
}

fn options(args: &WriteArgs) -> Result<CompactOptions, UsageError> {
    if args.memory_budget < MEMORY_BUDGET_BYTES_MIN {
        return Err(UsageError(format!(
            "--memory-budget of {} is too small; the least is {}",
            display_bytes(args.memory_budget),
            display_bytes(MEMORY_BUDGET_BYTES_MIN)
        )));
    }
    let mut options = CompactOptions::default();
    options.memory_budget_bytes = args.memory_budget;
    options.segment_bytes_max = args.segment_size;
    options.verify_output = args.verify_output;
    options.float_encoding = match args.float_chunk_encoding {
        FloatChunkEncoding::Xor => FloatEncoding::Xor,
        FloatChunkEncoding::Xor2 => FloatEncoding::Xor2,
    };
    if let Some(threads) = args.threads {
        options.threads = usize::from(threads);
    }
    Ok(options)
}

/// The signal that asked us to stop; 0 if none did.
static STOPPED_BY: AtomicI32 = AtomicI32::new(0);

/// Name and number of the signal that asked us to stop, if one did.
pub(crate) fn stopped_by() -> Option<(&'static str, u8)> {
    match STOPPED_BY.load(Ordering::Relaxed) {
        SIGHUP => Some(("SIGHUP", SIGHUP as u8)),
        SIGINT => Some(("SIGINT", SIGINT as u8)),
        SIGTERM => Some(("SIGTERM", SIGTERM as u8)),
        _ => None,
    }
}

/// The first SIGINT, SIGTERM or SIGHUP stops between two batches and leaves nothing behind; a second
/// one ends the process, and the next run removes what is left. `nohup` is heeded.
pub(crate) fn cancel_on_signal(cancel: &CancelToken) -> anyhow::Result<()> {
    let cancel = cancel.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !ignores_hangups() {
        signals.add_signal(SIGHUP)?;
    }
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if cancel.is_cancelled() {
                std::process::exit(128 + signal);
            }
            STOPPED_BY.store(signal, Ordering::Relaxed);
            cancel.cancel();
        }
    });
    Ok(())
}

/// Whether this process was started so that it outlives its terminal.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}

/// The planner that the flags describe.
pub(crate) fn planner(args: &PlanningArgs) -> Result<LeveledPlanner, UsageError> {
    let given = args.max_block_duration_ms.filter(|max| *max != 0);
    let max = given.unwrap_or_else(|| max_block_range_ms(Some(args.retention_ms)));
    let planner = LeveledPlanner::new(capped_block_ranges(args.min_block_duration_ms, max))
        .map_err(|error| UsageError(error.to_string()))?;
    Ok(planner.enable_overlapping(args.allow_overlapping))
}
