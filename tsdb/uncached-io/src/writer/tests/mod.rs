//! The writer over disks in memory, by every engine that needs no system call.

mod cases;
mod errnos;
mod programs;
mod short_programs;

use std::path::PathBuf;
use std::sync::Arc;

use super::{Opened, Resumed, Writer};
use crate::buffer::BufferPool;
use crate::engine::parked::ParkedPort;
use crate::engine::{BufferSupply, EngineKind, QueueEngine};
use crate::options::Durability;
use crate::policy::{Alignment, FallbackReason, Mode};
use crate::stats::Counters;
use crate::sys::fake::FakeDisk;
use crate::target::{Target, TargetOptions};

const EIO: i32 = 5;
const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const EOPNOTSUPP: i32 = 95;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Blocking,
    Thread,
    /// As io_uring does, in an order that the seed says.
    Parked(u64),
}

/// A writer over a fake disk, and what to vary about it.
#[derive(Debug, Clone, Copy)]
struct Setup {
    who: Who,
    align: usize,
    mem_align: usize,
    buffer_bytes: usize,
    buffers: usize,
    may_downgrade: bool,
    durability: Durability,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            who: Who::Thread,
            align: 16,
            mem_align: 32,
            buffer_bytes: 64,
            buffers: 3,
            may_downgrade: false,
            durability: Durability::Finish,
        }
    }
}

impl Setup {
    /// The same with each of the engines.
    fn with_everyone(self) -> [Self; 3] {
        [Who::Blocking, Who::Thread, Who::Parked(7)].map(|who| Self { who, ..self })
    }

    fn supply(&self) -> BufferSupply {
        let pool = Arc::new(BufferPool::new(4 * self.buffer_bytes));
        // Buffers that an earlier file has used: nothing of it may come through.
        let used: Vec<_> = (0..4).map(|_| pool.take(self.buffer_bytes, self.mem_align)).collect();
        for mut buf in used {
            buf.as_mut_slice().fill(0xAA);
            pool.give(buf);
        }
        BufferSupply {
            pool,
            buffer_bytes: self.buffer_bytes,
            mem_align: self.mem_align,
            count_max: self.buffers,
        }
    }

    fn mode(&self) -> Mode {
        Mode::Direct(Alignment {
            mem_align: self.mem_align,
            offset_align: self.align,
            read_offset_align: self.align,
        })
    }

    fn disk(&self) -> FakeDisk {
        FakeDisk::direct(self.mem_align, self.align)
    }

    fn direct(&self, disk: &FakeDisk) -> Writer {
        self.start(self.opened(disk, self.mode(), self.supply(), None))
    }

    fn buffered(&self, disk: &FakeDisk, reason: FallbackReason) -> Writer {
        self.start(self.opened(disk, Mode::Buffered { reason }, self.supply(), None))
    }

    /// As a writer of this setup sees a file that it just opened.
    fn opened(
        &self,
        disk: &FakeDisk,
        mode: Mode,
        supply: BufferSupply,
        resumed: Option<Resumed>,
    ) -> Opened {
        let path = PathBuf::from("fake");
        let direct = mode.is_direct();
        let options = TargetOptions {
            path: path.clone(),
            mode,
            may_downgrade: self.may_downgrade,
            durability: self.durability,
            len_bytes: resumed.as_ref().map_or(0, |resumed| resumed.len_bytes),
            totals: Arc::new(Counters::default()),
            condemned: Arc::default(),
        };
        Opened {
            path,
            target: Target::new(Box::new(disk.clone()), options),
            supply,
            mem_align: if direct { self.mem_align } else { 1 },
            offset_align: if direct { self.align } else { 1 },
            engine: match self.who {
                Who::Blocking => EngineKind::Blocking,
                Who::Thread => EngineKind::Thread,
                Who::Parked(_) => EngineKind::IoUring,
            },
            at_once: false,
            resumed,
        }
    }

    fn start(&self, opened: Opened) -> Writer {
        let supply = opened.supply.clone();
        let mut writer = Writer::new(None, opened).unwrap();
        if let Who::Parked(seed) = self.who {
            let target = writer.target.clone();
            writer.engine = Box::new(QueueEngine::new(ParkedPort::new(seed), target, supply));
            writer.engine_chosen = true;
        }
        writer
    }
}

/// Bytes that differ from their neighbours and from one place to the next.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 7)).wrapping_mul(167) as u8).collect()
}
