//! Random programs of a few steps over small buffers: what an interpreter (miri) gets done within a
//! minute, and a compiled test by the hundred.

use super::programs::{Files, Op};
use super::{EINTR, EIO, ENOSPC, Setup, Who, pattern};
use crate::error::{Error, Operation};
use crate::options::Durability;
use crate::policy::{FallbackReason, Mode};
use crate::sys::fake::Fault;

const STEPS: usize = 5;

fn seeds() -> std::ops::Range<u64> {
    0..if cfg!(miri) { 8 } else { 600 }
}

/// Numbers that look random (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn setup(&mut self, seed: u64) -> Setup {
        let who = match seed % 4 {
            0 => Who::Blocking,
            1 => Who::Thread,
            _ => Who::Parked(self.below(1 << 30) as u64),
        };
        let align = 1 << self.below(4);
        Setup {
            who,
            align,
            mem_align: 1 << self.below(5),
            buffer_bytes: (2 + self.below(3)) * align,
            // With an even number the disk grows by megabytes ahead of its writes.
            buffers: if cfg!(miri) { [1, 3][self.below(2)] } else { 1 + self.below(4) },
            may_downgrade: self.below(2) == 0,
            durability: Durability::Finish,
        }
    }

    fn op(&mut self, setup: &Setup) -> Op {
        let most = 3 * setup.buffer_bytes;
        match self.below(9) {
            0 | 1 => Op::Write(self.below(most)),
            2 => Op::Fill(self.below(most), self.below(most)),
            3 => Op::Owned(self.below(most)),
            4 => Op::Foreign(self.below(most), self.below(20)),
            5 => {
                let pieces = 1 + self.below(3);
                Op::Vectored((0..pieces).map(|_| (self.below(most), self.below(2) == 0)).collect())
            }
            6 => Op::SyncPartial,
            7 => Op::Resume(self.below(20)),
            _ => Op::Reset,
        }
    }

    fn ops(&mut self, setup: &Setup) -> Vec<Op> {
        (0..STEPS).map(|_| self.op(setup)).collect()
    }
}

#[test]
fn bytes_equal_the_model() {
    for seed in seeds() {
        let mut random = Random::new(seed);
        let setup = random.setup(seed);
        let reason = FallbackReason::NotOffered;
        let mode = match random.below(4) {
            0 => Mode::DontCache { reason },
            1 => Mode::Buffered { reason },
            _ => setup.mode(),
        };
        let unit = setup.align.max(setup.mem_align);
        let faults: Vec<_> = (0..random.below(3))
            .map(|_| {
                let short = Fault::Short(unit + random.below(40));
                let fault = if random.below(3) > 0 { short } else { Fault::Errno(EINTR) };
                (random.below(8), fault)
            })
            .collect();
        let ops = random.ops(&setup);
        println!("{setup:?} {mode:?} {faults:?} {ops:?}");
        let mut files = Files::new(setup, mode, &faults);
        let mut writer = files.create();
        files.run(&mut writer, random.below(40), &ops).unwrap();
        let finished = writer.finish().unwrap();
        files.check(&finished);
        assert!(files.disks.iter().all(|disk| disk.holders() == 1), "a helper holds a file");
    }
}

#[test]
fn an_error_sticks_and_its_prefix_is_there() {
    let mut failed = 0;
    for seed in seeds() {
        let mut random = Random::new(seed);
        let setup = random.setup(seed);
        let errno = [EIO, ENOSPC][random.below(2)];
        // Without another file, whose writes do not fail.
        let mut ops = random.ops(&setup);
        ops.retain(|op| !matches!(op, Op::Reset));
        let number = random.below(6);
        println!("{setup:?} write {number} {ops:?}");
        let mut files = Files::new(setup, setup.mode(), &[(number, Fault::Errno(errno))]);
        let mut writer = files.create();
        let ran = files.run(&mut writer, 3, &ops);
        if let Err(first) = &ran {
            assert_eq!(&writer.write_all(b"x").unwrap_err(), first);
            assert_eq!(&writer.sync_partial().unwrap_err(), first);
        }
        let Err(error) = writer.finish() else { continue };
        failed += 1;
        assert!(ran.is_ok() || ran == Err(error.clone()), "another one: {ran:?}, {error:?}");
        let Error::Os { operation, completed_bytes, errno: seen, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((operation, seen.0), (Operation::Write, errno));
        let (end, disk) = (completed_bytes as usize, files.disk());
        assert!(end >= files.synced, "{end} of {} acknowledged", files.synced);
        assert_eq!(&disk.bytes()[..end], &pattern(end)[..]);
        assert_eq!(disk.holders(), 1);
    }
    assert!(failed * 4 > seeds().end, "only {failed} met their fault");
}
