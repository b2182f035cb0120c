//! A producer: work between the writes that takes a given CPU time.

use std::hint::black_box;
use std::time::Duration;

use super::thread_cpu;

/// Works for a given CPU time for each byte. CPU time, not wall time: work does not get done by
/// itself while somebody else has the core.
pub(super) struct Producer {
    nanos_per_byte: f64,
    owed: Duration,
    worked: Duration,
    state: u64,
}

/// Below this the clock would cost more than the work; it is owed until more is due.
const LEAST: Duration = Duration::from_micros(5);

impl Producer {
    pub(super) fn new(nanos_per_byte: f64) -> Self {
        Self { nanos_per_byte, owed: Duration::ZERO, worked: Duration::ZERO, state: 1 }
    }

    /// Works for `len_bytes`.
    pub(super) fn produce(&mut self, len_bytes: usize) {
        self.owed += Duration::from_nanos((self.nanos_per_byte * len_bytes as f64) as u64);
        if self.owed < LEAST {
            return;
        }
        let begin = thread_cpu();
        loop {
            for _ in 0..500 {
                self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            }
            black_box(self.state);
            let worked = thread_cpu().saturating_sub(begin);
            if worked >= self.owed {
                self.worked += worked;
                self.owed = Duration::ZERO;
                return;
            }
        }
    }

    /// CPU time spent so far.
    pub(super) fn worked(&self) -> Duration {
        self.worked
    }
}
