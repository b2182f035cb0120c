//! What the dashboard shows.
//!
//! An arm is told by the label `arm`, which scraping adds to each target (or `samples.om` has). The
//! variables `baseline` and `candidate` choose two of its values.

use crate::grafana::Kind::{Stat, TimeSeries};
use crate::grafana::{Panel, Row};

const BASELINE: &str = "job=~\"$job\",instance=~\"$instance\",arm=\"$baseline\"";
const CANDIDATE: &str = "job=~\"$job\",instance=~\"$instance\",arm=\"$candidate\"";

/// The same of both arms: `$` stands for the selectors of one, `@` for a dollar.
fn both(query: &str) -> Vec<(&'static str, String)> {
    vec![
        ("{{arm}} baseline", query.replace('$', BASELINE).replace("@", "$")),
        ("{{arm}} candidate", query.replace('$', CANDIDATE).replace("@", "$")),
    ]
}

/// Of both arms, each with a legend that says what of it.
fn both_named(parts: &[(&'static str, &'static str, &str)]) -> Vec<(&'static str, String)> {
    let of = |selectors: &str, query: &str| query.replace('$', selectors).replace('@', "$");
    let mut queries = Vec::new();
    for (baseline_legend, candidate_legend, query) in parts {
        queries.push((*baseline_legend, of(BASELINE, query)));
        queries.push((*candidate_legend, of(CANDIDATE, query)));
    }
    queries
}

/// A formula of both arms, whose selectors `%B` and `%C` stand for; `@` stands for a dollar.
fn formula(legend: &'static str, query: &str) -> Vec<(&'static str, String)> {
    let query = query.replace("%B", BASELINE).replace("%C", CANDIDATE);
    vec![(legend, query.replace('@', "$"))]
}

fn panel(
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    width: u32,
    queries: Vec<(&'static str, String)>,
) -> Panel {
    Panel { title, description, kind: TimeSeries, unit, width, queries }
}

fn stat(
    title: &'static str,
    description: &'static str,
    unit: &'static str,
    width: u32,
    queries: Vec<(&'static str, String)>,
) -> Panel {
    Panel { kind: Stat, ..panel(title, description, unit, width, queries) }
}

/// All rows, from what matters most to what one looks up.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row { title: "Page cache", panels: page_cache() },
        Row { title: "Memory", panels: memory() },
        Row {
            title: "Work and waiting",
            panels: [work(), faults()].into_iter().flatten().collect(),
        },
        Row { title: "Does it count?", panels: validity() },
        Row { title: "Kubernetes (cAdvisor, by pod)", panels: kubernetes() },
    ]
}

fn page_cache() -> Vec<Panel> {
    vec![
        panel(
            "Page cache",
            "Page cache charged to each arm's cgroup.",
            "bytes",
            12,
            both("sum by (arm) (container_memory_cache{$})"),
        ),
        panel(
            "Page cache saved",
            "The baseline's page cache without the candidate's.",
            "bytes",
            12,
            formula("saved", "sum(container_memory_cache{%B}) - sum(container_memory_cache{%C})"),
        ),
        stat(
            "Reduction",
            "How much less page cache the candidate has, at its peak in the time shown.",
            "percentunit",
            8,
            formula(
                "reduction",
                "1 - sum(max_over_time(container_memory_cache{%C}[@__range])) / \
                 sum(max_over_time(container_memory_cache{%B}[@__range]))",
            ),
        ),
        stat(
            "Peak of the page cache",
            "The highest page cache in the time shown.",
            "bytes",
            8,
            both("max by (arm) (max_over_time(container_memory_cache{$}[@__range]))"),
        ),
        stat(
            "Output left in the page cache",
            "Pages of the output that are cached at the end.",
            "short",
            8,
            both("sum by (arm) (tsdb_compactor_output_file_pages{$,state=\"cached\"})"),
        ),
    ]
}

fn memory() -> Vec<Panel> {
    vec![
        panel(
            "Working set",
            "All memory but the page cache that goes first: what Kubernetes evicts by.",
            "bytes",
            8,
            both("sum by (arm) (container_memory_working_set_bytes{$})"),
        ),
        panel(
            "Anonymous memory and mapped files",
            "What the program itself holds, and what it maps.",
            "bytes",
            8,
            both_named(&[
                ("anonymous, baseline", "anonymous, candidate", "sum(container_memory_rss{$})"),
                ("mapped, baseline", "mapped, candidate", "sum(container_memory_mapped_file{$})"),
            ]),
        ),
        panel(
            "Dirty pages and writeback",
            "What has still to be written to the disk, and what is on its way.",
            "bytes",
            8,
            both_named(&[
                (
                    "dirty, baseline",
                    "dirty, candidate",
                    "sum(container_memory_file_dirty_bytes{$})",
                ),
                (
                    "writeback, baseline",
                    "writeback, candidate",
                    "sum(container_memory_file_writeback_bytes{$})",
                ),
            ]),
        ),
        panel(
            "Active and inactive page cache",
            "Inactive pages go first when memory is short.",
            "bytes",
            12,
            both_named(&[
                (
                    "active, baseline",
                    "active, candidate",
                    "sum(container_memory_total_active_file_bytes{$})",
                ),
                (
                    "inactive, baseline",
                    "inactive, candidate",
                    "sum(container_memory_total_inactive_file_bytes{$})",
                ),
            ]),
        ),
        panel(
            "Residency of the output",
            "Pages of the output by their state in the page cache.",
            "short",
            12,
            both_named(&[(
                "{{state}}, baseline",
                "{{state}}, candidate",
                "sum by (state) (tsdb_compactor_output_file_pages{$})",
            )]),
        ),
    ]
}

fn work() -> Vec<Panel> {
    vec![
        panel(
            "CPU, candidate without baseline",
            "Cores that the candidate takes beyond the baseline's.",
            "short",
            8,
            formula(
                "difference",
                "sum(rate(process_cpu_seconds_total{%C}[@__rate_interval])) - \
                 sum(rate(process_cpu_seconds_total{%B}[@__rate_interval]))",
            ),
        ),
        panel(
            "Waiting for the disk",
            "Share of the time in which some, or all, of an arm's processes waited for devices.",
            "percentunit",
            8,
            both_named(&[
                (
                    "some, baseline",
                    "some, candidate",
                    "sum(rate(container_pressure_io_waiting_seconds_total{$}[@__rate_interval]))",
                ),
                (
                    "all, baseline",
                    "all, candidate",
                    "sum(rate(container_pressure_io_stalled_seconds_total{$}[@__rate_interval]))",
                ),
            ]),
        ),
        panel(
            "Duration of a write",
            "Median and 99th percentile of write calls.",
            "s",
            8,
            both_named(&[
                (
                    "p50, baseline",
                    "p50, candidate",
                    "histogram_quantile(0.5, sum by (le) (rate(\
                     tsdb_compactor_chunk_write_duration_seconds_bucket{$}[@__rate_interval])))",
                ),
                (
                    "p99, baseline",
                    "p99, candidate",
                    "histogram_quantile(0.99, sum by (le) (rate(\
                     tsdb_compactor_chunk_write_duration_seconds_bucket{$}[@__rate_interval])))",
                ),
            ]),
        ),
        panel(
            "Mean duration of a compaction",
            "Of the compactions that ended within an interval.",
            "s",
            8,
            both(
                "sum by (arm) (rate(prometheus_tsdb_compaction_duration_seconds_sum{$}\
                 [@__rate_interval])) / sum by (arm) \
                 (rate(prometheus_tsdb_compaction_duration_seconds_count{$}[@__rate_interval]))",
            ),
        ),
    ]
}

fn faults() -> Vec<Panel> {
    vec![
        panel(
            "Major page faults",
            "Faults that had to read from the disk, in all.",
            "short",
            8,
            both("sum by (arm) (container_memory_failures_total{$,failure_type=\"pgmajfault\"})"),
        ),
        panel(
            "Refaults",
            "Pages of files that were evicted and soon wanted again, in all.",
            "short",
            8,
            both("sum by (arm) (tsdb_compactor_file_refaults_total{$})"),
        ),
    ]
}

fn validity() -> Vec<Panel> {
    vec![
        stat(
            "Bytes written",
            "What the kernel counted; equal work writes equally much.",
            "bytes",
            6,
            both(
                "sum by (arm) (increase(tsdb_compactor_process_io_bytes_total\
                 {$,kind=\"write_bytes\"}[@__range]))",
            ),
        ),
        stat(
            "Compactions",
            "Done, and failed: an arm that fails does less work.",
            "short",
            6,
            both_named(&[
                ("done, baseline", "done, candidate", "sum(prometheus_tsdb_compactions_total{$})"),
                (
                    "failed, baseline",
                    "failed, candidate",
                    "sum(prometheus_tsdb_compactions_failed_total{$})",
                ),
            ]),
        ),
        stat(
            "Past the page cache",
            "1 if files go past the page cache, and how many could not.",
            "short",
            6,
            both_named(&[
                (
                    "enabled, baseline",
                    "enabled, candidate",
                    "max(tsdb_compactor_uncached_io_enabled{$})",
                ),
                (
                    "fallbacks, baseline",
                    "fallbacks, candidate",
                    "sum(tsdb_compactor_direct_io_fallbacks_total{$})",
                ),
            ]),
        ),
        stat(
            "Build",
            "Versions of both arms.",
            "short",
            6,
            both_named(&[(
                "{{version}}, baseline",
                "{{version}}, candidate",
                "max by (version) (prometheus_build_info{$})",
            )]),
        ),
    ]
}

/// cAdvisor's own series have pods instead of arms: their names contain those of the arms.
fn kubernetes() -> Vec<Panel> {
    let of = |metric: &str, arm: &str| {
        format!("sum by (pod) ({metric}{{container!=\"\",pod=~\".*@{arm}.*\"}})").replace('@', "$")
    };
    let pods = |metric: &str| {
        vec![
            ("{{pod}} (baseline)", of(metric, "baseline")),
            ("{{pod}} (candidate)", of(metric, "candidate")),
        ]
    };
    vec![
        panel(
            "Page cache by pod",
            "As cAdvisor tells it, of pods whose names contain that of an arm.",
            "bytes",
            12,
            pods("container_memory_cache"),
        ),
        panel(
            "Working set by pod",
            "As cAdvisor tells it, of pods whose names contain that of an arm.",
            "bytes",
            12,
            pods("container_memory_working_set_bytes"),
        ),
    ]
}
