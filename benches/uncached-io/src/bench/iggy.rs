//! Iggy's ways to persist a batch of messages: direct, direct with each write durable, buffered
//! with fsync, deferred.

use anyhow::Result;
use uncached_io::EngineKind;

use super::{Write, engine_name};
use crate::child::sink::SinkSpec;
use crate::context::Context;
use crate::interleave::{Arm, interleave};
use crate::run::Record;
use crate::size::ODD_BYTES;

pub(crate) const NAME: &str = "iggy";
/// What "direct, each write durable" was once: with a sync behind each batch as well.
pub(crate) const SYNCED_TWICE: &str = "direct, each batch durable";

/// A batch that is no whole number of blocks, as batches are.
const BATCH_BYTES: u64 = 50_000;

pub(crate) fn run(context: &Context, engine: EngineKind, repeats: u32) -> Result<Vec<Record>> {
    let reader = context.data_file("read-meanwhile", context.plan.reader_bytes)?;
    let blocking = EngineKind::Blocking.name().to_owned();
    let ours = |each_write, sizes| SinkSpec::Ours {
        engine: blocking.clone(),
        each_write,
        owned: false,
        sizes,
    };
    // By the flag of each write alone: another sync would pay twice. A batch goes to the disk with
    // the buffer that it fills, so its end may wait for the next batch.
    // One buffer of a batch: the caller waits for the disk with each call.
    let one_batch = Some((52 << 10, 1));
    let ways = [
        ("direct".to_owned(), ours(false, one_batch), false),
        ("direct, each write durable".to_owned(), ours(true, one_batch), false),
        ("buffered, each batch durable".to_owned(), SinkSpec::BufWriter, true),
        (format!("deferred, {}", engine_name(engine)), SinkSpec::engine(engine), false),
        ("deferred, BufWriter".to_owned(), SinkSpec::BufWriter, false),
    ];
    let mut arms = Vec::new();
    for (name, sink, sync_calls) in ways {
        let mut write = Write::new(context, sink, BATCH_BYTES);
        write.len_bytes = context.plan.sync_bytes + ODD_BYTES;
        write.sync_calls = sync_calls;
        write.reader = Some(reader.clone());
        arms.push(Arm::new("batches of 50,000 bytes", name, move || write.run(context)));
    }
    interleave(NAME, &arms, repeats)
}
