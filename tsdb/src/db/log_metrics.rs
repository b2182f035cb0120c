//! The logs' metrics.
//!
//! Source: Prometheus 3.15, `tsdb/wlog/wlog.go`.

use std::fmt;

use super::collector::Teller;
use crate::wal::{Compression, WalStats};

/// Tells what a log did; `of` is what the names of its metrics begin with.
pub(super) fn tell_log(of: &str, stats: &WalStats, told: &mut Teller<'_>) -> fmt::Result {
    let help = "How long syncs of segments took";
    let name = format!("{of}_fsync_duration_seconds");
    told.sum_and_count(&name, help, stats.fsync_duration)?;
    let help = "The segment that is written to";
    told.gauge(&format!("{of}_segment_current"), help, f64::from(stats.segment_current))?;
    let counters = [
        ("page_flushes", "Total number of writes of pages", stats.page_flushes_total),
        ("completed_pages", "Total number of pages that are full", stats.completed_pages_total),
        ("truncations", "Total number of truncations", stats.truncations_total),
        ("truncations_failed", "Total number that failed", stats.truncations_failed_total),
        ("writes_failed", "Total number of commits that failed", stats.writes_failed_total),
        ("record_part_writes", "Total number of parts of records", stats.record_part_writes_total),
        (
            "record_parts_bytes_written",
            "Total number of their bytes, headers included",
            stats.record_parts_bytes_written_total,
        ),
    ];
    for (name, help, count) in counters {
        told.counter(&format!("{of}_{name}"), help, count)?;
    }
    let help = "Total number of bytes that compression saved";
    let compression = match stats.compression {
        Compression::None => return Ok(()),
        Compression::Snappy => "snappy",
        Compression::Zstd => "zstd",
    };
    let saved = [(compression, stats.record_bytes_saved_total)];
    told.counter_by(&format!("{of}_record_bytes_saved"), help, "compression", &saved)
}
