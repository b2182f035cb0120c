//! Pressure: for how long work stood still for want of CPU, memory or the disk.
//!
//! ```text
//!  some avg10=9.21 avg60=10.02 avg300=12.71 total=1378403676     at least one process waited
//!  full avg10=8.94 avg60=9.16 avg300=11.55 total=572068885       all of them did; microseconds
//! ```
//!
//! Source: Linux, `Documentation/accounting/psi.rst`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Since the group was made, of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stalls {
    /// At least one process waited for it.
    pub waiting_seconds: f64,
    /// All that had something to do waited for it. Older kernels don't tell of CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_seconds: Option<f64>,
}

/// Of a cgroup, by resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// Waiting for a core.
    pub cpu: Option<Stalls>,
    /// Waiting for memory to be freed, or for pages that were evicted.
    pub memory: Option<Stalls>,
    /// Waiting for devices.
    pub io: Option<Stalls>,
}

impl Pressure {
    /// Of the version 2 group in `dir`; `None` where it tells nothing.
    #[must_use]
    pub fn read(dir: &Path) -> Option<Self> {
        let read = |name: &str| Stalls::parse(&fs::read_to_string(dir.join(name)).ok()?);
        let (cpu, memory, io) =
            (read("cpu.pressure"), read("memory.pressure"), read("io.pressure"));
        (cpu.is_some() || memory.is_some() || io.is_some()).then_some(Self { cpu, memory, io })
    }
}

impl Stalls {
    fn parse(text: &str) -> Option<Self> {
        let total = |kind: &str| {
            let line = text.lines().find(|line| line.starts_with(kind))?;
            let micros = line.split_whitespace().find_map(|word| word.strip_prefix("total="))?;
            Some(micros.parse::<f64>().ok()? / 1e6)
        };
        Some(Self { waiting_seconds: total("some ")?, stalled_seconds: total("full ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_microseconds() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=250000\n";
        let stalls = Stalls::parse(text).unwrap();
        assert_eq!((stalls.waiting_seconds, stalls.stalled_seconds), (1.5, Some(0.25)));
        let some = Stalls::parse("some avg10=0.00 total=10\n").unwrap();
        assert_eq!(some.stalled_seconds, None);
        assert_eq!(Stalls::parse("full total=1\n"), None);
    }
}
