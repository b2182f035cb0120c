//! Sequential writes by size and number of the writer's buffers, and so by the writes under way: what
//! the crate's defaults are chosen by.

use anyhow::Result;
use uncached_io::{EngineKind, IoOptions};

use super::{Write, engine_name, working_engines};
use crate::child::sink::SinkSpec;
use crate::context::Context;
use crate::interleave::{Arm, interleave};
use crate::run::Record;
use crate::size::show_bytes;

pub(crate) const NAME: &str = "depth";

/// Size of a caller's write.
const CALL_BYTES: u64 = 64 << 10;

const BUFFER_BYTES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];
const BUFFERS: [usize; 4] = [1, 2, 4, 8];

/// The case of an engine and a size of buffers.
pub(crate) fn case(engine: EngineKind, buffer_bytes: usize) -> String {
    format!("{}, {}", engine_name(engine), show_bytes(buffer_bytes as u64))
}

/// The arm of so many buffers; the crate's default is marked.
fn arm(buffers: usize) -> String {
    let default =
        if buffers == IoOptions::default().buffers_per_writer { " (default)" } else { "" };
    format!("{buffers} buffers{default}")
}

pub(crate) fn run(context: &Context, repeats: u32) -> Result<Vec<Record>> {
    let (engines, _) = working_engines(context);
    // One write at a time is all that the others do.
    let engines =
        engines.into_iter().filter(|kind| matches!(kind, EngineKind::IoUring | EngineKind::Thread));
    let mut arms = Vec::new();
    for engine in engines {
        for buffer_bytes in BUFFER_BYTES {
            for buffers in BUFFERS {
                let mut sink = SinkSpec::engine(engine);
                if let SinkSpec::Ours { sizes, .. } = &mut sink {
                    *sizes = Some((buffer_bytes, buffers));
                }
                let write = Write::new(context, sink, CALL_BYTES);
                let run = move || write.run(context);
                arms.push(Arm::new(case(engine, buffer_bytes), arm(buffers), run));
            }
        }
    }
    interleave(NAME, &arms, repeats)
}
