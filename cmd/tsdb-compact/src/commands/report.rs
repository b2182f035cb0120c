//! What a merge did or would do, for people and as `--json` has it.

use std::time::Duration;

use serde_json::{Value, json};
use tsdb::compact::{DryRun, Ledger, Merged};
use tsdb::vfs::{Io, Mode};

use crate::output::{path_json, say};
use crate::units::{display_bytes, display_count};

/// What was done, for people.
pub(crate) fn print_merged(merged: &Merged, sources: usize, elapsed: Duration, io: &Io) {
    let blocks = counted(sources as u64, "block");
    match &merged.block {
        None => say!("merged {blocks}: no samples are left, so there is no new block"),
        Some(block) => {
            say!("merged {blocks} into {}", block.path().display());
            say!(
                "  {} series, {} chunks, {} samples",
                display_count(block.meta.stats.num_series),
                display_count(block.meta.stats.num_chunks),
                display_count(block.meta.stats.num_samples)
            );
            say!(
                "  {} of chunks in {}, {} of index",
                display_bytes(block.chunk_bytes),
                counted(u64::from(block.segments), "segment"),
                display_bytes(block.index_bytes)
            );
        }
    }
    say!("  samples: {}", ledger_text(&merged.ledger));
    if merged.output_verified {
        say!("  read back before it was published, and equal to its sources");
    }
    let seconds = elapsed.as_secs_f64();
    say!(
        "  {} of sources, {} written {} in {seconds:.2} s",
        display_bytes(merged.bytes_read),
        display_bytes(bytes_written(merged)),
        io_text(io),
    );
}

fn bytes_written(merged: &Merged) -> u64 {
    merged.block.as_ref().map_or(0, |block| block.chunk_bytes + block.index_bytes)
}

fn io_text(io: &Io) -> String {
    match io.mode() {
        Mode::Direct(_) => match io.stats().fallbacks {
            0 => "past the page cache".to_owned(),
            files => {
                let files = counted(files, "file");
                format!("past the page cache ({files} could only go through it)")
            }
        },
        Mode::Buffered { reason } => format!("through the page cache ({reason})"),
        Mode::DontCache { reason } => format!("through the page cache, at once freed ({reason})"),
        _ => "in an unknown way".to_owned(),
    }
}

/// Where the samples went; terms that are zero are left out.
fn ledger_text(ledger: &Ledger) -> String {
    let mut text =
        format!("{} in = {}", display_count(ledger.samples_in), display_count(ledger.samples_out));
    text.push_str(" out");
    let terms = [
        (ledger.duplicate, "in duplicate chunks"),
        (ledger.superseded_equal, "superseded at an equal timestamp by the same value"),
        (ledger.superseded_conflicting, "superseded at an equal timestamp by another value"),
        (ledger.tombstoned, "deleted by tombstones"),
        (ledger.out_of_range, "outside of the blocks' times"),
        (ledger.at_min_time, "at the least timestamp there is, which Prometheus drops too"),
    ];
    for (samples, what) in terms.into_iter().filter(|(samples, _)| *samples > 0) {
        text.push_str(&format!(" + {} {what}", display_count(samples)));
    }
    text
}

/// The result of a merge as `--json` has it.
pub(crate) fn merged_json(merged: &Merged, elapsed: Duration, io: &Io) -> Value {
    let block = merged.block.as_ref().map(|block| {
        json!({
            "ulid": block.meta.ulid.to_string(),
            "path": path_json(block.path()),
            "minTime": block.meta.min_time,
            "maxTime": block.meta.max_time,
            "stats": block.meta.stats,
            "level": block.meta.compaction.level,
            "chunkBytes": block.chunk_bytes,
            "segments": block.segments,
            "indexBytes": block.index_bytes,
        })
    });
    json!({
        "blocks": block.into_iter().collect::<Vec<_>>(),
        "samples": ledger_json(&merged.ledger),
        "outputVerified": merged.output_verified,
        "sourceBytes": merged.bytes_read,
        "bytesWritten": bytes_written(merged),
        "uncached": io.mode().is_direct(),
        "engine": io.engine().name(),
        "fallbackReason": io.mode().fallback_reason().map(|reason| reason.name()),
        "filesThroughCache": io.stats().fallbacks,
        "seconds": elapsed.as_secs_f64(),
    })
}

fn ledger_json(ledger: &Ledger) -> Value {
    json!({
        "in": ledger.samples_in,
        "out": ledger.samples_out,
        "duplicate": ledger.duplicate,
        "supersededEqual": ledger.superseded_equal,
        "supersededConflicting": ledger.superseded_conflicting,
        "tombstoned": ledger.tombstoned,
        "outOfRange": ledger.out_of_range,
        "atMinTime": ledger.at_min_time,
    })
}

/// What a dry run says, for people.
pub(crate) fn print_estimate(estimate: &DryRun) {
    say!("  {} of sources", display_bytes(estimate.bytes_read));
    say!(
        "  would write {}{} of chunks in {}, {} of index: {} series, {} chunks",
        if estimate.exact { "" } else { "about " },
        display_bytes(estimate.chunk_bytes),
        counted(u64::from(estimate.segments), "segment"),
        display_bytes(estimate.index_bytes),
        display_count(estimate.series),
        display_count(estimate.chunks)
    );
    let least = estimate.least_disk_bytes();
    let peak = display_bytes(estimate.peak_disk_bytes);
    let disk = if estimate.exact {
        format!("{} of disk, {peak}", display_bytes(least))
    } else {
        format!("about {peak} of disk")
    };
    say!(
        "  would need {disk} at peak ({} are free), and {} of memory",
        display_bytes(estimate.free_disk_bytes),
        display_bytes(estimate.memory_bytes)
    );
    match estimate.peak_disk_bytes_max {
        _ if estimate.exact => {}
        Some(most) => say!(
            "  overlapping chunks are encoded anew and can grow: {} of disk at the very most",
            display_bytes(most)
        ),
        None => say!(
            "  overlapping chunks are encoded anew and can grow; by how much at most is not known \
             before histograms are read"
        ),
    }
    let missing = |needed: u64| display_bytes(needed.saturating_sub(estimate.free_disk_bytes));
    if estimate.lacks_room() {
        say!("  too little room: {} are missing", missing(least));
    } else if estimate.free_disk_bytes < estimate.peak_disk_bytes {
        say!(
            "  room is tight: {} are missing for the peak, so the disk may turn out to be full",
            missing(estimate.peak_disk_bytes)
        );
    }
}

/// What a dry run says, as `--json` has it.
pub(crate) fn estimate_json(estimate: &DryRun) -> Value {
    json!({
        "exact": estimate.exact,
        "sourceBytes": estimate.bytes_read,
        "chunkBytes": estimate.chunk_bytes,
        "segments": estimate.segments,
        "indexBytes": estimate.index_bytes,
        "series": estimate.series,
        "chunks": estimate.chunks,
        "leastDiskBytes": estimate.least_disk_bytes(),
        "peakDiskBytes": estimate.peak_disk_bytes,
        "peakDiskBytesMax": estimate.peak_disk_bytes_max,
        "freeDiskBytes": estimate.free_disk_bytes,
        "tooLittleRoom": estimate.lacks_room(),
        "memoryBytes": estimate.memory_bytes,
    })
}

/// `1 block`, `3 blocks`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", display_count(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_would_be_refused_lacks_room() {
        let mut estimate = DryRun::default();
        (estimate.chunk_bytes, estimate.index_bytes, estimate.peak_disk_bytes) = (10, 5, 20);
        (estimate.exact, estimate.free_disk_bytes) = (true, 14);
        assert_eq!(estimate_json(&estimate)["tooLittleRoom"], true);
        // The peak is that of temporary files, which a run is not refused for.
        estimate.free_disk_bytes = 15;
        assert_eq!(estimate_json(&estimate)["tooLittleRoom"], false);
        assert_eq!(estimate_json(&estimate)["leastDiskBytes"], 15);
    }

    #[test]
    fn terms_that_are_zero_are_left_out() {
        let mut ledger = Ledger::default();
        (ledger.samples_in, ledger.samples_out) = (1500, 1500);
        assert_eq!(ledger_text(&ledger), "1,500 in = 1,500 out");
        (ledger.samples_in, ledger.tombstoned, ledger.duplicate) = (1530, 20, 10);
        assert_eq!(
            ledger_text(&ledger),
            "1,530 in = 1,500 out + 10 in duplicate chunks + 20 deleted by tombstones"
        );
    }

    /// What is printed has to balance as what was checked did: no term may be missing.
    #[test]
    fn the_terms_that_are_printed_add_up() {
        let mut ledger = Ledger::default();
        (ledger.samples_in, ledger.samples_out) = (127, 64);
        (ledger.duplicate, ledger.superseded_equal, ledger.superseded_conflicting) = (1, 2, 4);
        (ledger.tombstoned, ledger.out_of_range, ledger.at_min_time) = (8, 16, 32);
        assert!(ledger.balances());
        let json = ledger_json(&ledger);
        let terms = json.as_object().unwrap().iter().filter(|(name, _)| *name != "in");
        assert_eq!(terms.map(|(_, samples)| samples.as_u64().unwrap()).sum::<u64>(), 127);
        let text = ledger_text(&ledger);
        let digits = |part: &str| part.trim().split(' ').next().unwrap().parse::<u64>().unwrap();
        let (_, out) = text.split_once('=').unwrap();
        assert_eq!(out.split('+').map(digits).sum::<u64>(), 127, "{text}");
    }
}
