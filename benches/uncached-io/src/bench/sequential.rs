//! Sequential writes at callers' sizes, and with a producer that costs as much as writing.

use anyhow::{Context as _, Result};
use uncached_io::EngineKind;

use super::{BUF_WRITER, Write, engine_name, working_engines};
use crate::child::sink::SinkSpec;
use crate::context::Context;
use crate::fio;
use crate::interleave::{Arm, interleave};
use crate::judge::GoWriter;
use crate::run::{Record, find};
use crate::size::show_bytes;

pub(crate) const NAME: &str = "sequential";
pub(crate) const PRODUCING: &str = "producing";
/// The case of fio's arms, which know no caller.
pub(crate) const DEVICE: &str = "device";
/// The arm whose caller fills the writer's own buffers.
pub(crate) const OWNED: &str = "uncached-io, owned buffers";
/// The caller's size with the producer.
pub(crate) const PRODUCING_BYTES: u64 = 64 << 10;

/// All of it: pure writing first, which says what the producer has to cost.
pub(crate) fn run(context: &Context, engine: EngineKind, repeats: u32) -> Result<Vec<Record>> {
    let mut arms = Vec::new();
    for &call_bytes in context.plan.call_bytes {
        arms.extend(callers(context, engine, call_bytes, 0.0));
    }
    if context.fio.is_ok() {
        for case in fio::DIRECT.into_iter().chain([fio::BUFFERED]) {
            arms.push(Arm::new(DEVICE, case.name(), move || case.run(context)));
        }
    }
    let mut records = interleave(NAME, &arms, repeats)?;
    let cost = nanos_per_byte(&records, engine)?;
    eprintln!("{PRODUCING}: {cost:.3} ns of work for a byte, as much as writing it takes");
    let arms = callers(context, engine, PRODUCING_BYTES, cost);
    records.extend(interleave(PRODUCING, &arms, repeats)?);
    Ok(records)
}

/// Everybody who writes for a caller.
fn callers(context: &Context, engine: EngineKind, call_bytes: u64, cost: f64) -> Vec<Arm<'_>> {
    let case = format!("{} calls", show_bytes(call_bytes));
    let (engines, _) = working_engines(context);
    let mut sinks: Vec<(String, SinkSpec)> =
        engines.into_iter().map(|kind| (engine_name(kind), SinkSpec::engine(kind))).collect();
    let mut owned = SinkSpec::engine(engine);
    if let SinkSpec::Ours { owned, .. } = &mut owned {
        *owned = true;
    }
    sinks.push((OWNED.to_owned(), owned));
    sinks.push((BUF_WRITER.to_owned(), SinkSpec::BufWriter));
    let mut arms = Vec::new();
    for (name, sink) in sinks {
        let mut write = Write::new(context, sink, call_bytes);
        write.produce_nanos_per_byte = cost;
        arms.push(Arm::new(&case, name, move || write.run(context)));
    }
    if let Ok(judge) = &context.judge {
        for writer in GoWriter::ALL {
            let run = move || writer.run(context, judge, call_bytes, cost, None, None);
            arms.push(Arm::new(&case, writer.name(), run));
        }
    }
    arms
}

/// What writing a byte takes the crate's default engine.
pub(crate) fn nanos_per_byte(records: &[Record], engine: EngineKind) -> Result<f64> {
    let case = format!("{} calls", show_bytes(PRODUCING_BYTES));
    let record = find(records, NAME, &case, &engine_name(engine)).context("nothing was written")?;
    let seconds = record.median(|run| Some(run.seconds / run.bytes as f64));
    Ok(seconds.context("nothing was written")? * 1e9)
}

/// The same from a few runs of its own, where the sequential bench was not asked for.
pub(crate) fn calibrate(context: &Context, engine: EngineKind) -> Result<f64> {
    let write = Write::new(context, SinkSpec::engine(engine), PRODUCING_BYTES);
    let case = format!("{} calls", show_bytes(PRODUCING_BYTES));
    let arms = [Arm::new(case, engine_name(engine), move || write.run(context))];
    nanos_per_byte(&interleave(NAME, &arms, 3)?, engine)
}
