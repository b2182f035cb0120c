//! One run of one arm, from a fresh copy of the input to a verified output.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tsdb::block::Block;
use tsdb::block::verify::Verifier;
use tsdb_bench_harness::cache;
use tsdb_bench_harness::cgroup::Cgroup;
use tsdb_bench_harness::watch::{Watch, Watched};

use super::arms::{Arm, RunPaths, Side};
use super::digest::SampleDigest;
use super::model::{Run, Settings};
use super::output_files::{OutputFiles, blocks_in};
use super::reader::{Queried, Reader};
use super::session::Session;
use super::validity::{Invalid, Reference};
use super::writes::Writes;

/// Below this share of hot pages the reader did not begin hot.
const HOT_SHARE_MIN: f64 = 0.99;
/// What of a program's complaints is told.
const MESSAGE_CHARS: usize = 300;

impl Session<'_> {
    /// Runs an arm once; `None` if it was stopped on the way.
    pub(super) fn one_run(
        &self,
        side: Side,
        settings: &Settings,
        reference: Option<&Reference>,
    ) -> anyhow::Result<Option<Run>> {
        let dir = self.workspace.run()?;
        let input = dir.join("input");
        let (blocks, input_pages_left) = self.input.copy_to(&input)?;
        if self.cancel.is_cancelled() {
            return Ok(None);
        }
        let (output, logs) = (dir.make("output")?, dir.make("logs")?);
        let metrics = logs.join("metrics.prom");
        let paths = RunPaths { input: &input, blocks: &blocks, output: &output, metrics: &metrics };
        cache::settle(dir.path())?;
        let limit = settings.memory_limit_bytes;
        let group = self.cgroups.map(|cgroups| cgroups.create(limit)).transpose()?;
        let querying = settings.querying.as_ref();
        let reader = querying.map(|q| Reader::start(q, &blocks, group.as_ref())).transpose()?;
        let watch = Watch {
            cgroups: self.cgroups,
            group: group.as_ref(),
            alone: reader.is_none(),
            output: &output,
            logs: &logs,
            every: settings.sample_every,
            after: settings.watch_after,
            timeout: settings.timeout,
        };
        let stop = || self.cancel.is_cancelled();
        let watched = watch.run(&self.arms.command(side, &paths), &stop)?;
        if watched.stopped || stop() {
            return Ok(None);
        }
        let queried = reader.map(Reader::finish).transpose()?;
        let mut run = begun(side, &watched, group.as_ref(), queried);
        run.input_pages_left = input_pages_left;
        run.invalid = self.faults_of(&watched, side, settings, run.queried.as_ref());
        if run.invalid.is_empty() {
            run.writes = Writes::read(&metrics);
            self.read_output(&mut run, &output, reference);
        }
        run.samples = watched.samples;
        dir.remove()?;
        Ok(Some(run))
    }

    /// What is wrong with how it ran.
    fn faults_of(
        &self,
        watched: &Watched,
        side: Side,
        settings: &Settings,
        queried: Option<&Queried>,
    ) -> Vec<Invalid> {
        if watched.timed_out {
            return vec![Invalid::TimedOut { seconds: settings.timeout.as_secs() }];
        }
        if !watched.status.success() {
            let (status, message) = (watched.status.to_string(), last_words(&watched.stderr));
            return vec![Invalid::Failed { status, message }];
        }
        let mut found: Vec<Invalid> =
            fell_back(self.arms.get(side), &watched.stdout).into_iter().collect();
        if let Some(queried) = queried.filter(|queried| queried.idle.kept_share < HOT_SHARE_MIN) {
            found.push(Invalid::ColdReader { percent: (queried.idle.kept_share * 100.0) as u8 });
        }
        found
    }

    /// Reads what came out, and holds it against the reference.
    fn read_output(&self, run: &mut Run, dir: &Path, reference: Option<&Reference>) {
        let by_samples = self.arms.has_command();
        match output_of(dir, reference, by_samples) {
            Ok(Ok(output)) => run.output = Some(output),
            Ok(Err(invalid)) => run.invalid.push(invalid),
            Err(error) => run.invalid.push(Invalid::Unreadable { error: format!("{error:#}") }),
        }
        if let Some(reference) = reference {
            let different = reference.compare(run, by_samples);
            run.invalid.extend(different);
        }
    }
}

/// What is known before the output is looked at.
fn begun(side: Side, watched: &Watched, group: Option<&Cgroup>, queried: Option<Queried>) -> Run {
    Run {
        arm: side,
        started_unix_ms: watched.started_unix_ms,
        invalid: Vec::new(),
        wall_seconds: watched.wall_seconds,
        cpu_seconds: watched.cpu_seconds,
        usage_peak_bytes: group.and_then(Cgroup::peak_bytes),
        limit_hits: group.and_then(Cgroup::limit_hits),
        io: watched.io,
        input_pages_left: 0,
        output: None,
        writes: None,
        queried,
        served: None,
        ended: watched.ended,
        samples: Vec::new(),
    }
}

/// Sums and, where it has to be, samples of what was written. The same bytes are not checked
/// twice: those of the reference were found to be in order.
fn output_of(
    dir: &Path,
    reference: Option<&Reference>,
    by_samples: bool,
) -> anyhow::Result<Result<OutputFiles, Invalid>> {
    let blocks = blocks_in(dir)?;
    if blocks.is_empty() {
        return Ok(Err(Invalid::NoBlock));
    }
    let mut output = OutputFiles::read(&blocks)?;
    let known = reference.filter(|reference| reference.output.files == output.files);
    if let Some(known) = known {
        output.samples = known.output.samples.clone();
        return Ok(Ok(output));
    }
    if let Some(invalid) = faults_in(&blocks) {
        return Ok(Err(invalid));
    }
    if by_samples {
        let open = blocks.iter().map(|block| Block::open(block));
        output.samples = Some(SampleDigest::of(&open.collect::<Result<Vec<_>, _>>()?)?);
    }
    Ok(Ok(output))
}

fn faults_in(blocks: &[PathBuf]) -> Option<Invalid> {
    let mut verifier = Verifier::new().with_findings_max(1);
    blocks.iter().find_map(|block| {
        let report = verifier.block(block);
        let first = report.findings.first().map_or(String::new(), ToString::to_string);
        (report.faults > 0).then_some(Invalid::Faulty { faults: report.faults, first })
    })
}

/// Whether an arm of ours that promised to go past the page cache went through it, by what it says
/// itself.
fn fell_back(arm: &Arm, stdout: &str) -> Option<Invalid> {
    if !arm.is_direct() {
        return None;
    }
    let document: Value = serde_json::from_str(stdout).unwrap_or_default();
    let files = document["filesThroughCache"].as_u64();
    if document["uncached"] == true && files == Some(0) {
        return None;
    }
    let why = match (document["fallbackReason"].as_str(), files) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(files)) => format!("{files} files could only go through it"),
        (None, None) => "it does not say how it wrote".to_owned(),
    };
    Some(Invalid::FellBack { why })
}

/// The end of what a program complained of, in one line.
pub(super) fn last_words(stderr: &str) -> String {
    let line: Vec<&str> = stderr.split_whitespace().collect();
    let line = line.join(" ");
    let skip = line.chars().count().saturating_sub(MESSAGE_CHARS);
    if line.is_empty() { "it says nothing".to_owned() } else { line.chars().skip(skip).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Arm {
        Arm::Merge { flags: Vec::new(), policy: tsdb::vfs::Policy::Prefer }
    }

    #[test]
    fn a_direct_arm_has_to_say_that_it_was() {
        let said = |text| fell_back(&direct(), text).map(|invalid| invalid.to_string());
        assert_eq!(said(r#"{"uncached":true,"filesThroughCache":0}"#), None);
        let files = said(r#"{"uncached":true,"filesThroughCache":2,"fallbackReason":null}"#);
        assert!(files.unwrap().contains("2 files"));
        let text = r#"{"uncached":false,"filesThroughCache":0,"fallbackReason":"filesystem"}"#;
        assert!(said(text).unwrap().ends_with("filesystem"));
        assert!(said("no JSON").is_some());
        assert_eq!(fell_back(&Arm::Command(String::new()), "no JSON"), None);
    }

    #[test]
    fn the_end_of_a_long_complaint_is_kept() {
        assert_eq!(last_words("one\n two \n"), "one two");
        assert_eq!(last_words(" \n"), "it says nothing");
        let long = format!("{} end", "x".repeat(1000));
        assert!(last_words(&long).ends_with("x end") && last_words(&long).len() == 300);
    }
}
