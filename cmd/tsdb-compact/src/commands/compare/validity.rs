//! Which runs count: those that did the same work, the way they promised.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::model::Run;
use super::output_files::OutputFiles;

/// Bytes written to devices may differ by this share and this much between arms of ours: padding,
/// metadata, a temporary file that was written back before it was removed.
const WRITTEN_SHARE: f64 = 0.05;
const WRITTEN_BYTES: f64 = 4.0 * 1024.0 * 1024.0;

/// Why a run does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Invalid {
    #[error("it ended with {status}: {message}")]
    Failed { status: String, message: String },
    #[error("it was stopped after {seconds} s")]
    TimedOut { seconds: u64 },
    #[error("it wrote no block")]
    NoBlock,
    #[error("what it wrote can't be read: {error}")]
    Unreadable { error: String },
    #[error("what it wrote has {faults} faults: {first}")]
    Faulty { faults: u64, first: String },
    #[error("it wrote other bytes than the first run: {difference}")]
    DifferentBytes { difference: String },
    #[error(
        "it wrote other samples than the first run: {samples} in {series} series, \
         {first_samples} in {first_series} there"
    )]
    DifferentSamples { samples: u64, series: u64, first_samples: u64, first_series: u64 },
    #[error("{bytes} bytes went to the disk, {first_bytes} in the first run")]
    DifferentBytesWritten { bytes: u64, first_bytes: u64 },
    #[error("it went through the page cache although it promised not to: {why}")]
    FellBack { why: String },
    #[error("only {percent} % of the reader's hot pages were in memory before it began")]
    ColdReader { percent: u8 },
    #[error("the server refused samples: {error}")]
    Refused { error: String },
    #[error("the server took {appended} samples of the {sent} that were sent")]
    OtherSamples { appended: u64, sent: u64 },
    #[error("asked for {metric}, the server answered {answer}")]
    WrongAnswer { metric: String, answer: String },
}

/// The run that the others are held against.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) output: OutputFiles,
    /// Bytes that went to devices, where it was an arm of ours.
    pub(super) written_bytes: Option<u64>,
}

impl Reference {
    /// What of `run` differs.
    pub(super) fn compare(&self, run: &Run, by_samples: bool) -> Vec<Invalid> {
        let mut found = Vec::new();
        if let Some(output) = &run.output {
            found.extend(self.compare_output(output, by_samples));
        }
        let written = run.io.map(|io| io.written_bytes());
        if let (Some(bytes), Some(first_bytes)) = (written, self.written_bytes)
            && !by_samples
            && differ(bytes, first_bytes)
        {
            found.push(Invalid::DifferentBytesWritten { bytes, first_bytes });
        }
        found
    }

    fn compare_output(&self, output: &OutputFiles, by_samples: bool) -> Option<Invalid> {
        if !by_samples {
            let difference = output.difference(&self.output)?;
            return Some(Invalid::DifferentBytes { difference });
        }
        let (ours, first) = (output.samples.as_ref()?, self.output.samples.as_ref()?);
        (ours != first).then_some(Invalid::DifferentSamples {
            samples: ours.samples,
            series: ours.series,
            first_samples: first.samples,
            first_series: first.series,
        })
    }
}

fn differ(bytes: u64, first_bytes: u64) -> bool {
    let off = bytes.abs_diff(first_bytes) as f64;
    off > WRITTEN_BYTES && off > first_bytes as f64 * WRITTEN_SHARE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_more_written_is_no_other_work() {
        assert!(!differ(100 << 20, 100 << 20));
        assert!(!differ(3 << 20, 1 << 20), "metadata of a small run");
        assert!(!differ(1030 << 20, 1000 << 20), "padding of a large one");
        assert!(differ(1060 << 20, 1000 << 20));
        assert!(differ(0, 1000 << 20));
    }

    #[test]
    fn reasons_are_told_by_name() {
        let invalid = Invalid::DifferentBytesWritten { bytes: 2, first_bytes: 1 };
        let json = serde_json::to_string(&invalid).unwrap();
        assert_eq!(json, r#"{"reason":"differentBytesWritten","bytes":2,"firstBytes":1}"#);
        assert_eq!(serde_json::from_str::<Invalid>(&json).unwrap(), invalid);
    }
}
