//! Each call as the caller sees it, with somebody else reading meanwhile.

use anyhow::Result;
use uncached_io::EngineKind;

use super::{BUF_WRITER, Write, engine_name, working_engines};
use crate::child::sink::SinkSpec;
use crate::context::Context;
use crate::interleave::{Arm, interleave};
use crate::judge::GoWriter;
use crate::run::Record;
use crate::size::show_bytes;

pub(crate) const NAME: &str = "jitter";

/// Size of a caller's write.
const CALL_BYTES: u64 = 64 << 10;

/// Flat out, with a producer, and with a producer under a memory limit. `cost` is what writing a
/// byte takes, in nanoseconds.
pub(crate) fn run(
    context: &Context,
    engine: EngineKind,
    cost: f64,
    repeats: u32,
) -> Result<Vec<Record>> {
    let reader = context.data_file("read-meanwhile", context.plan.reader_bytes)?;
    let cap = context.plan.jitter_cap_bytes;
    let size = show_bytes(CALL_BYTES);
    let mut cases =
        vec![(format!("{size}, flat out"), 0.0, None), (format!("{size}, producing"), cost, None)];
    if context.cgroups.is_some() {
        let case = format!("{size}, producing, memory limit of {}", show_bytes(cap));
        cases.push((case, cost, Some(cap)));
    }
    let (engines, _) = working_engines(context);
    let mut sinks: Vec<(String, SinkSpec)> = engines
        .into_iter()
        .filter(|kind| *kind == engine || *kind == EngineKind::IoUring || !kind.is_direct())
        .map(|kind| (engine_name(kind), SinkSpec::engine(kind)))
        .collect();
    sinks.push((BUF_WRITER.to_owned(), SinkSpec::BufWriter));
    let mut arms = Vec::new();
    for (case, cost, memory_bytes) in cases {
        for (name, sink) in &sinks {
            let mut write = Write::new(context, sink.clone(), CALL_BYTES);
            write.produce_nanos_per_byte = cost;
            write.memory_bytes = memory_bytes;
            write.reader = Some(reader.clone());
            arms.push(Arm::new(&case, name, move || write.run(context)));
        }
        if let Ok(judge) = &context.judge {
            let reader = reader.clone();
            let run = move || {
                let reader = Some(reader.as_path());
                GoWriter::Direct.run(context, judge, CALL_BYTES, cost, memory_bytes, reader)
            };
            arms.push(Arm::new(&case, GoWriter::Direct.name(), run));
        }
    }
    interleave(NAME, &arms, repeats)
}
