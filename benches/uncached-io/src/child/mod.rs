//! The measured processes: this program, called by itself with a specification as JSON. Each
//! prints a [`Run`].

pub(crate) mod beside;
pub(crate) mod produce;
pub(crate) mod read;
pub(crate) mod scan;
pub(crate) mod sink;
pub(crate) mod write;

use std::time::Duration;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};

use crate::run::Run;

/// CPU time of this process so far, all threads.
fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// CPU time of this thread so far.
fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanos)
}

fn print(run: &Run) -> Result<()> {
    println!("{}", serde_json::to_string(run)?);
    Ok(())
}

/// Numbers that look random (Marsaglia's xorshift); must not start with 0.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        let mut x = self.0;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0 = x;
        x
    }
}
