//! `verify`: everything is read and checked.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tsdb::block::verify::{BlockReport, FindingKind, Overlap, Verifier};

use super::report::counted;
use crate::args::GlobalArgs;
use crate::output::{Outcome, print_json, say, stdout};
use crate::paths::{looks_like_block, named, require_dir_or_block};
use crate::progress::bytes_bar;
use crate::units::{display_count, display_time};

/// Read and check everything in a directory of blocks, or in one block
///
/// Every checksum, order, reference and sample; postings against series; meta.json against the
/// content. Each finding names file, series and chunk, and none of them ends the work.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tsdb-compact verify /var/lib/prometheus
  tsdb-compact verify /var/lib/prometheus/01BX5ZZKBKACTAV9WEVGEMMVRZ --json

Notes are worth knowing and no fault; so are blocks that overlap, which compaction merges. The
exit code is 1 if there is a fault. Nothing is locked or changed, so the directory may be in use;
blocks that are deleted meanwhile show up as unreadable.")]
pub(crate) struct VerifyArgs {
    /// A directory of blocks, or a block.
    #[arg(value_name = "DIR|BLOCK")]
    dir: PathBuf,
    /// Most findings of a block that are shown; the rest is counted.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    max_findings: usize,
}

pub(crate) fn run(args: &VerifyArgs, global: &GlobalArgs) -> anyhow::Result<Outcome> {
    require_dir_or_block(&args.dir)?;
    let dir = &named(&args.dir);
    let bar = bytes_bar(global.no_progress());
    bar.set_message("verifying");
    let mut verifier =
        Verifier::new().with_findings_max(args.max_findings).with_progress(|progress| {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_done);
        });
    let (blocks, overlaps) = if looks_like_block(dir) {
        (vec![verifier.block(dir)], Vec::new())
    } else {
        let report = verifier.dir(dir)?;
        (report.blocks, report.overlaps)
    };
    drop(verifier);
    bar.finish_and_clear();
    let faults: u64 = blocks.iter().map(|block| block.faults).sum();
    if global.json {
        let report = json!({ "blocks": blocks, "overlaps": overlaps, "faults": faults });
        print_json(&camel_case_keys(report))?;
    } else if blocks.is_empty() {
        say!("no blocks in {}", dir.display());
    } else {
        let mut out = stdout();
        blocks.iter().try_for_each(|block| write_block(&mut out, block))?;
        overlaps.iter().try_for_each(|overlap| write_overlap(&mut out, overlap))?;
        write_summary(&mut out, &blocks)?;
    }
    Ok(if faults == 0 { Outcome::Done } else { Outcome::Findings })
}

/// The keys of every JSON document of ours are in camel case, as those of meta.json, and a block's
/// directory is its `path`.
fn camel_case_keys(value: Value) -> Value {
    let camel_case = |key: &str| {
        if key == "dir" {
            return "path".to_owned();
        }
        let mut parts = key.split('_');
        let mut name = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (first, rest) = part.split_at(part.len().min(1));
            name.push_str(&first.to_ascii_uppercase());
            name.push_str(rest);
        }
        name
    };
    match value {
        Value::Array(values) => values.into_iter().map(camel_case_keys).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (camel_case(&key), camel_case_keys(value))).collect()
        }
        other => other,
    }
}

fn write_block(out: &mut impl Write, block: &BlockReport) -> io::Result<()> {
    let verdict = match block.faults {
        0 => "ok".to_owned(),
        faults => counted(faults, "fault"),
    };
    let counts = &block.counts;
    writeln!(
        out,
        "{}: {verdict}; read {} series, {}, {}",
        block.dir.display(),
        display_count(counts.series),
        counted(counts.chunks, "chunk"),
        counted(counts.samples, "sample"),
    )?;
    for finding in &block.findings {
        writeln!(out, "  {finding}")?;
    }
    if block.findings_omitted > 0 {
        let more = counted(block.findings_omitted, "more finding");
        writeln!(out, "  {more} not shown; --max-findings shows more")?;
    }
    Ok(())
}

fn write_overlap(out: &mut impl Write, overlap: &Overlap) -> io::Result<()> {
    let [first, second] = overlap.blocks;
    writeln!(
        out,
        "note: {first} and {second} overlap from {} to {}; compaction merges them",
        display_time(overlap.min_time),
        display_time(overlap.max_time)
    )
}

fn write_summary(out: &mut impl Write, blocks: &[BlockReport]) -> io::Result<()> {
    let checked = counted(blocks.len() as u64, "block");
    let faulty = blocks.iter().filter(|block| !block.is_ok()).count();
    if faulty == 0 {
        return writeln!(out, "{checked} checked: all ok");
    }
    write!(out, "{checked} checked: {faulty} with faults")?;
    let mut faults = blocks.iter().flat_map(|block| &block.findings);
    if faults.any(|finding| finding.kind != FindingKind::Unreadable) {
        let advice = "restore what is faulty from a backup, or move it out of the data directory";
        write!(out, "; {advice}")?;
    }
    writeln!(out)
}
