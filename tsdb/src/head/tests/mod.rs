//! Tests of the head as a whole.

mod floats;
mod gc;
mod histograms;
mod isolation;
mod late;
mod regression;
mod reopened;
mod series_records;
mod speed;

use std::path::Path;
use std::sync::Arc;

use tsdb_format::chunkenc::{ChunkIterator, Encoding};
use tsdb_format::labels::Labels;

use super::{AppendError, Head, HeadOptions, HeadSeries, HeadView, ReplayProgress, Sample};
use crate::compact::CancelToken;
use crate::query::TimeRange;
use crate::vfs::{Io, OsVfs, Policy, Vfs};

/// A head in a directory of its own.
pub(super) struct Fixture {
    pub(super) head: Arc<Head>,
    pub(super) dir: tempfile::TempDir,
}

/// A decoded sample: start time, time, value, or the sum of a histogram.
pub(super) type Decoded = (i64, i64, f64);

impl Fixture {
    pub(super) fn new(options: HeadOptions) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let head = open(dir.path(), options);
        Self { head, dir }
    }

    /// Appends floats to a series and commits each by itself.
    pub(super) fn floats(&self, name: &str, samples: &[(i64, f64)]) {
        for (t, value) in samples {
            let mut appender = self.head.appender();
            appender.append(None, &labels(name), Sample::float(*t, *value)).expect("it is taken");
            appender.commit().expect("the log takes it");
        }
    }

    /// What is said to one float.
    pub(super) fn try_float(&self, name: &str, t: i64, value: f64) -> Result<(), AppendError> {
        let mut appender = self.head.appender();
        appender.append(None, &labels(name), Sample::float(t, value))?;
        appender.commit().expect("the log takes it");
        Ok(())
    }

    pub(super) fn view(&self) -> HeadView {
        self.head.view(TimeRange::ALL)
    }

    /// All samples of a series.
    pub(super) fn samples(&self, name: &str) -> Vec<Decoded> {
        samples(&self.view(), name)
    }

    /// Encoding and number of samples of each chunk.
    pub(super) fn chunks(&self, name: &str) -> Vec<(Encoding, u16)> {
        let series = series(&self.view(), name);
        series.chunks.iter().map(|chunk| (chunk.encoding, chunk.samples)).collect()
    }
}

pub(super) fn open(dir: &Path, options: HeadOptions) -> Arc<Head> {
    let io = Io::probe(dir, Policy::Prefer).expect("a probe");
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(io));
    let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
    Head::open(vfs, dir, i64::MIN, options, &cancel, &progress).expect("a head").0
}

pub(super) fn labels(name: &str) -> Labels {
    [("__name__", name), ("job", "test")].into_iter().collect()
}

pub(super) fn series(view: &HeadView, name: &str) -> HeadSeries {
    let mut series = HeadSeries::default();
    let ids = view.postings("__name__", name).unwrap_or_default();
    for id in ids.iter() {
        view.series(id, &mut series).expect("it can be read");
    }
    series
}

pub(super) fn samples(view: &HeadView, name: &str) -> Vec<Decoded> {
    let series = series(view, name);
    let mut samples = Vec::new();
    for (at, chunk) in series.chunks.iter().enumerate() {
        let mut decoded = ChunkIterator::new(chunk.encoding, series.data(at)).expect("a chunk");
        let before = samples.len();
        while decoded.next().expect("a sample").is_some() {
            let value = match chunk.encoding {
                Encoding::Xor | Encoding::Xor2 => decoded.float(),
                Encoding::Histogram | Encoding::HistogramSt => decoded.histogram().sum,
                _ => decoded.float_histogram().sum,
            };
            samples.push((decoded.start_timestamp(), decoded.timestamp(), value));
        }
        assert_eq!(samples.len() - before, usize::from(chunk.samples));
        assert_eq!(samples.get(before).map(|sample| sample.1), Some(chunk.min_time));
        assert!(samples.last().is_some_and(|last| last.1 <= chunk.max_time));
    }
    samples
}
