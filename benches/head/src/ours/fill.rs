//! Fills a database.

use std::path::Path;

use anyhow::{Context, Result};
use tsdb::compact::FloatEncoding;
use tsdb::db::{Db, DbAppender, DbOptions};
use tsdb::head::{HeadOptions, HeadSeriesRef, Sample};
use tsdb::query::Labels;
use tsdb::vfs::Policy;
use tsdb::wal::{Compression, WalOptions};

use super::workload::{LabelMaker, sample};
use crate::args::Spec;

/// Opens a database that flushes and compacts only when it is told to.
pub(crate) fn open(spec: &Spec) -> Result<Db> {
    let db = Db::open(&spec.dir, options(&spec.options)?)
        .with_context(|| format!("opening {}", spec.dir.display()))?;
    db.set_auto_compaction(false);
    Ok(db)
}

/// The options that the Go peer takes, as far as benches use them.
fn options(json: &str) -> Result<DbOptions> {
    let json: serde_json::Value = match json {
        "" => serde_json::Value::Null,
        json => serde_json::from_str(json)?,
    };
    let number = |name: &str| json[name].as_i64().unwrap_or(0);
    let flag = |name: &str| json[name].as_bool().unwrap_or(false);
    let compression = match json["wal_compression"].as_str() {
        Some("snappy") => Compression::Snappy,
        Some("zstd") => Compression::Zstd,
        _ => Compression::None,
    };
    let mut head = HeadOptions::default().wal(WalOptions::default().compression(compression));
    head.out_of_order_window_ms = number("out_of_order_window_ms");
    if flag("xor2") {
        head.float_encoding = FloatEncoding::Xor2;
    }
    let mut options = DbOptions::default().head(head);
    let range = match number("chunk_range_ms") {
        0 => options.min_block_duration_ms,
        range => range,
    };
    let longest = (1..number("block_ranges").max(1)).fold(range, |range, _| range * 3);
    options = options.block_durations_ms(range, Some(longest));
    if flag("uncached") {
        options.uncached_io = Policy::Required;
    }
    Ok(options)
}

/// What appends.
pub(crate) struct Filler<'s> {
    pub(crate) spec: &'s Spec,
    pub(crate) db: Db,
    pub(crate) refs: Vec<Option<HeadSeriesRef>>,
}

impl<'s> Filler<'s> {
    pub(crate) fn new(spec: &'s Spec) -> Result<Self> {
        Ok(Self { spec, db: open(spec)?, refs: vec![None; spec.series] })
    }

    /// Appends sample 0 of each series by its labels, which are built as they are needed.
    pub(crate) fn create(&mut self) -> Result<()> {
        let mut maker = LabelMaker::default();
        let (step, refs) = (self.spec.step, &mut self.refs);
        batches(&self.db, 0..self.spec.series, self.spec.batch, |appender, i| {
            let (t, value) = sample(i, 0, step);
            refs[i] = Some(appender.append(None, maker.labels(i), Sample::float(t, value))?);
            Ok(())
        })
    }

    /// Appends these samples of each series by reference. Each writer has its own series.
    pub(crate) fn scrapes(&self, samples: std::ops::Range<usize>) -> Result<()> {
        let share = self.spec.series.div_ceil(self.spec.writers);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..self.spec.writers)
                .map(|writer| {
                    let (first, last) = (writer * share, (writer + 1) * share);
                    let series = first.min(self.spec.series)..last.min(self.spec.series);
                    let samples = samples.clone();
                    scope.spawn(move || self.scrape(series, samples))
                })
                .collect();
            writers.into_iter().try_for_each(|writer| match writer.join() {
                Ok(written) => written,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    fn scrape(
        &self,
        series: std::ops::Range<usize>,
        samples: std::ops::Range<usize>,
    ) -> Result<()> {
        let empty = Labels::default();
        for k in samples {
            batches(&self.db, series.clone(), self.spec.batch, |appender, i| {
                let (t, value) = sample(i, k, self.spec.step);
                appender.append(self.refs[i], &empty, Sample::float(t, value))?;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Appends all samples of all series.
    pub(crate) fn fill(&mut self) -> Result<()> {
        self.create()?;
        self.scrapes(1..self.spec.samples)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.spec.dir
    }
}

/// Calls `append` for each of the series, with an appender that is committed after each batch.
pub(crate) fn batches(
    db: &Db,
    series: std::ops::Range<usize>,
    batch: usize,
    mut append: impl FnMut(&mut DbAppender<'_>, usize) -> Result<()>,
) -> Result<()> {
    let mut i = series.start;
    while i < series.end {
        let mut appender = db.appender()?;
        let end = (i + batch).min(series.end);
        while i < end {
            append(&mut appender, i)?;
            i += 1;
        }
        appender.commit()?;
    }
    Ok(())
}
