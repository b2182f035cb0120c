//! Made-up runs, for tests of what is concluded from them.

use std::time::Duration;

use tsdb_bench_harness::cgroup::{MemoryFigures, Pressure, Stalls};
use tsdb_bench_harness::sample::{OutputPages, ProcessIo, Sample};

use super::arms::Side;
use super::environment::{Environment, MachineFacts};
use super::model::{Report, Run, Settings};
use super::output_files::OutputFiles;
use super::reader::{Queried, QueryPhase};
use super::verdict::Verdict;
use super::writes::Writes;

const MIB: f64 = 1_048_576.0;

/// Numbers that look random: Vigna's SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly from 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A factor around 1 that is off by `spread` or so, now and then by much more, as on a machine
    /// on which others work.
    pub(super) fn noise(&mut self, spread: f64) -> f64 {
        let sum: f64 = (0..4).map(|_| self.share() - 0.5).sum();
        let outlier = if self.share() < 0.05 { 3.0 * self.share() } else { 0.0 };
        1.0 + spread * (sum + outlier)
    }
}

/// What a made-up run is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Like {
    pub(super) wall_seconds: f64,
    pub(super) cache_bytes: f64,
}

pub(super) const BUFFERED: Like = Like { wall_seconds: 2.0, cache_bytes: 600.0 * MIB };
pub(super) const UNCACHED: Like = Like { wall_seconds: 2.0, cache_bytes: 4.0 * MIB };

pub(super) fn run(arm: Side, like: Like, spread: f64, random: &mut Random) -> Run {
    let mut near = |value: f64| value * random.noise(spread);
    let (wall, cache) = (near(like.wall_seconds), near(like.cache_bytes));
    let samples: Vec<Sample> = (0..=12)
        .map(|at| sample(f64::from(at) * wall / 10.0, (f64::from(at) / 10.0).min(1.0), cache))
        .collect();
    let ended = samples[10];
    Run {
        arm,
        started_unix_ms: 1_795_000_000_000,
        invalid: Vec::new(),
        wall_seconds: wall,
        cpu_seconds: Some(near(1.5)),
        usage_peak_bytes: Some((cache + near(40.0 * MIB)) as u64),
        limit_hits: Some(0),
        io: ended.io,
        input_pages_left: 0,
        output: Some(OutputFiles {
            bytes: 1 << 20,
            files: Vec::new(),
            metas: Vec::new(),
            samples: None,
        }),
        writes: Some(Writes {
            count: 100,
            seconds: near(0.2),
            buckets: vec![(0.001, 0), (0.002, 40), (0.004, 99), (0.008, 100)],
        }),
        queried: Some(Queried {
            idle: QueryPhase::default(),
            loaded: QueryPhase {
                seconds: wall,
                queries: 400,
                p50_seconds: Some(near(0.000_02)),
                p99_seconds: Some(near(0.000_3)),
                max_seconds: Some(near(0.002)),
                major_faults: 0,
                kept_share: 1.0,
                kept_share_min: 1.0,
            },
        }),
        served: None,
        ended,
        samples,
    }
}

fn sample(seconds: f64, share: f64, cache: f64) -> Sample {
    let bytes = |value: f64| Some(value as u64);
    let stalls =
        Some(Stalls { waiting_seconds: share / 10.0, stalled_seconds: Some(share / 20.0) });
    Sample {
        seconds,
        memory: Some(MemoryFigures {
            cache_bytes: bytes(cache * share),
            rss_bytes: bytes(30.0 * MIB),
            mapped_file_bytes: bytes(2.0 * MIB),
            active_file_bytes: bytes(cache * share / 3.0),
            inactive_file_bytes: bytes(cache * share / 2.0),
            dirty_bytes: bytes(cache * share / 4.0),
            writeback_bytes: bytes(cache * share / 8.0),
            usage_bytes: bytes(cache * share + 32.0 * MIB),
            major_faults: Some(3),
            refaults: Some(0),
        }),
        pressure: Some(Pressure { cpu: stalls, memory: stalls, io: stalls }),
        cpu_seconds: Some(share * 1.5),
        io: Some(ProcessIo {
            read_bytes: (share * 900.0 * MIB) as u64,
            write_bytes: (share * 600.0 * MIB) as u64,
            cancelled_write_bytes: 0,
        }),
        output: Some(OutputPages {
            cached_bytes: (cache * share * 0.9) as u64,
            dirty_bytes: bytes(cache * share / 4.0),
            writeback_bytes: Some(0),
            evicted_bytes: Some(0),
            recently_evicted_bytes: Some(0),
        }),
    }
}

/// Runs of both arms in turn.
pub(super) fn runs(baseline: Like, candidate: Like, each: usize, seed: u64) -> Vec<Run> {
    let mut random = Random(seed);
    let mut runs = Vec::new();
    for _ in 0..each {
        runs.push(run(Side::Baseline, baseline, 0.01, &mut random));
        runs.push(run(Side::Candidate, candidate, 0.01, &mut random));
    }
    runs
}

/// A finished report of such runs.
pub(super) fn report(runs: Vec<Run>) -> Report {
    let mut report = Report {
        version: 1,
        program: "tsdb-compact test".to_owned(),
        started_unix_ms: 1_795_000_000_000,
        environment: Environment {
            machine: MachineFacts {
                cpu: "A <processor> & \"more\"".to_owned(),
                cores: 2,
                memory_mib: 4096,
                kernel: "6.18".to_owned(),
                filesystem: "ext4".to_owned(),
            },
            cgroup_version: Some(1),
            page_cache: Some("cachestat".to_owned()),
        },
        settings: Settings {
            runs_per_arm: runs.len() as u32 / 2,
            sample_every: Duration::from_millis(200),
            watch_after: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            memory_limit_bytes: None,
            querying: None,
            input_blocks: 3,
            input_bytes: 1 << 30,
            load: None,
            control: false,
        },
        arms: ["tsdb-compact merge".to_owned(), "other 'x' <y> && z".to_owned()],
        direct: [Some(false), None],
        notes: Vec::new(),
        interrupted: false,
        runs,
        rows: Vec::new(),
        verdict: Verdict::default(),
    };
    report.finish();
    report
}
