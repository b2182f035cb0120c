//! The series and samples of all cases: the same that the Go peer makes
//! (`testdata/judge/internal/headbench/workload.go`).

use std::fmt::Write;

use tsdb_format::labels::Labels;

/// A multiple of two hours in November 2023, in milliseconds.
const BASE_MS: i64 = 236_112 * 7_200_000;
/// How many series a pod exposes.
const METRICS: usize = 120;

const NOUNS: [&str; 13] = [
    "http_requests",
    "cpu_usage",
    "memory_working_set",
    "network_receive",
    "disk_io",
    "queue",
    "cache",
    "gc",
    "grpc_server",
    "sql",
    "process",
    "node",
    "scheduler",
];
const UNITS: [&str; 7] =
    ["total", "bytes", "seconds", "ratio", "count", "bytes_total", "seconds_sum"];

/// SplitMix64's finalizer over both numbers.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Makes label sets; its memory is reused.
#[derive(Default)]
pub(crate) struct LabelMaker {
    values: [String; 7],
    labels: Labels,
}

impl LabelMaker {
    /// Those of series `i`: pods that each expose the same metrics.
    pub(crate) fn labels(&mut self, i: usize) -> &Labels {
        let (pod, metric) = (i / METRICS, i % METRICS);
        let id = mix(pod as u64, 0);
        let noun = NOUNS[pod % NOUNS.len()];
        self.values.iter_mut().for_each(String::clear);
        let [name, cluster, container, instance, job, namespace, pod_name] = &mut self.values;
        let (what, unit) = (NOUNS[metric % NOUNS.len()], UNITS[metric / 8 % UNITS.len()]);
        // Writing into a String does not fail.
        let _ = write!(name, "{what}_{unit}_{metric:02}");
        cluster.push_str("eu-central-1");
        container.push_str(noun);
        let (a, b, c) = (id >> 16 & 0xff, id >> 8 & 0xff, id & 0xff);
        let _ = write!(instance, "10.{a}.{b}.{c}:9100");
        let _ = write!(job, "kubernetes-{}", NOUNS[pod % 7]);
        let _ = write!(namespace, "team-{:02}", pod % 40);
        let _ = write!(pod_name, "{noun}-{pod}-{:08x}-{:05x}", (id >> 32) as u32, id & 0xf_ffff);
        let names = ["__name__", "cluster", "container", "instance", "job", "namespace", "pod"];
        self.labels.assign_sorted(names.into_iter().zip(self.values.iter().map(String::as_str)));
        &self.labels
    }
}

/// Time and value of sample `k` of series `i`, `step_ms` apart: in equal parts counters of small and
/// of large increments, gauges in decimal fractions, and byte counts. Most are on time, some a few
/// milliseconds late.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "numbers far below 2^53")]
pub(crate) fn sample(i: usize, k: usize, step_ms: i64) -> (i64, f64) {
    let bits = mix(i as u64, k as u64 + 1);
    let mut t = BASE_MS + k as i64 * step_ms + (i / METRICS % 1000) as i64;
    let late = (bits >> 32 & 63) as i64;
    if late < 4 {
        t += late;
    }
    let value = match i & 3 {
        0 => k as u64 * 16 + bits % 16,
        1 => k as u64 * 5000 + bits % 5000,
        2 => return (t, (bits % 100_000) as f64 / 100.0),
        _ => bits >> 44 << 12,
    };
    (t, value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values of the Go peer.
    #[test]
    fn the_same_as_the_peer_makes() {
        let mut maker = LabelMaker::default();
        let want = concat!(
            r#"{__name__="grpc_server_count_34", cluster="eu-central-1", container="process", "#,
            r#"instance="10.190.53.12:9100", job="kubernetes-network_receive", "#,
            r#"namespace="team-10", pod="process-10-59651d96-e350c"}"#
        );
        assert_eq!(maker.labels(1234).to_string(), want);
        let samples = [1232, 1233, 1234, 1235].map(|i| sample(i, 56, 15_000));
        let (t, late) = (1_700_007_240_010, 1_700_007_240_013);
        assert_eq!(samples, [(t, 897.0), (t, 282_097.0), (t, 148.74), (late, 3_583_860_736.0)]);
    }
}
