//! Runs append programs on our database.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tsdb::compact::FloatEncoding;
use tsdb::db::{Db, DbAppender, DbOptions};
use tsdb::head::{
    AppendError, Exemplar, HeadOptions, HeadSeriesRef, HistogramError, Metadata, MetricType,
    Sample, SampleValue,
};
use tsdb::query::{MatchOp, Matcher, TimeRange};
use tsdb::wal::{Compression, WalOptions};
use tsdb_format::labels::Labels;
use tsdb_format::meta::BlockMeta;

use super::digest;
use super::program::{Append, Op, Options, OwnedExemplar, OwnedMetadata, OwnedValue, Program};

/// What became of an operation, and the lines that belong to it.
pub(crate) type Answer = Vec<String>;

/// What ours made of a program.
pub(crate) struct Ran {
    /// What became of each operation.
    pub(crate) answers: Vec<Answer>,
    /// The first opening at which ours has late samples that 3.15 has lost or may have lost: see
    /// [`Replayed::late_chunks_of_other_refs`](tsdb::head::Replayed::late_chunks_of_other_refs).
    ///
    /// It also loses them where a kill cost the chunk that a marker names, but not the samples: these
    /// it inserts again, into a new chunk of the series' first reference. At the opening after that one,
    /// the record of the second reference takes the new chunk away, and the marker, which may fit its
    /// place in the file, the samples.
    pub(crate) lost_by_theirs: Option<usize>,
    /// Openings, each with the last reference that the log has a series of or a deletion.
    pub(crate) openings: Vec<(usize, u64)>,
}

/// Carries out `program` in `dir`; blocks are copied into `copies`. `done` is told each operation's
/// number behind it.
pub(crate) fn run(
    program: &Program,
    dir: &Path,
    copies: &Path,
    mut done: impl FnMut(usize),
) -> Ran {
    let mut run = Run {
        program,
        dir: dir.to_owned(),
        copies: copies.to_owned(),
        refs: vec![None; program.series.len()],
        labels: program.series.iter().map(|pairs| sorted(pairs)).collect(),
        seen: Vec::new(),
        kills: 0,
        answers: Vec::new(),
    };
    let mut db = run.open();
    let (mut lost_by_theirs, mut is_next_lost, mut openings) = (None, false, Vec::new());
    while run.answers.len() < program.ops.len() {
        run.until_reopened(&db, &mut done);
        if let Some(op) = program.ops.get(run.answers.len()) {
            db = run.reopen(db, matches!(op, Op::Kill));
            let replayed = db.replayed();
            if is_next_lost || replayed.late_chunks_of_other_refs > 0 {
                lost_by_theirs = lost_by_theirs.or(Some(run.answers.len()));
            }
            is_next_lost |= replayed.markers_without_chunk > 0 && replayed.duplicate_series > 0;
            openings.push((run.answers.len(), replayed.last_recorded_ref));
            let times = times(&db);
            run.answers.push(vec![times]);
            done(run.answers.len());
        } else {
            db.close().unwrap();
            break;
        }
    }
    Ran { answers: run.answers, lost_by_theirs, openings }
}

/// The options of a database that does nothing by itself.
pub(crate) fn options(of: &Options) -> DbOptions {
    let compression = match of.wal_compression {
        "snappy" => Compression::Snappy,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    };
    let mut wal = WalOptions::default().compression(compression);
    if of.wal_segment_bytes > 0 {
        wal = wal.segment_bytes(of.wal_segment_bytes);
    }
    let mut head = HeadOptions::default().wal(wal);
    head.out_of_order_window_ms = of.out_of_order_window_ms;
    if of.out_of_order_cap_max > 0 {
        head.out_of_order_cap_max = of.out_of_order_cap_max;
    }
    if of.xor2 {
        head.float_encoding = FloatEncoding::Xor2;
    }
    head.histogram_start_timestamps = of.histogram_start_timestamps;
    head.store_start_timestamps = of.store_start_timestamps;
    head.exemplars_max = of.exemplars_max;
    let mut options = DbOptions::default().head(head);
    if of.chunk_range_ms > 0 {
        options = options.block_durations_ms(of.chunk_range_ms, Some(of.chunk_range_ms));
    }
    if of.xor2 {
        options.compact.float_encoding = FloatEncoding::Xor2;
    }
    options.overlapping_compaction = !of.no_overlapping_compaction;
    options.background = false;
    options
}

struct Run<'p> {
    program: &'p Program,
    dir: PathBuf,
    copies: PathBuf,
    refs: Vec<Option<HeadSeriesRef>>,
    labels: Vec<Labels>,
    /// Directories of blocks that were copied.
    seen: Vec<String>,
    kills: usize,
    answers: Vec<Answer>,
}

impl Run<'_> {
    fn open(&self) -> Db {
        Db::open(&self.dir, options(&self.program.options)).unwrap()
    }

    /// Up to the next operation that opens the database anew, or to the end.
    fn until_reopened(&mut self, db: &Db, done: &mut impl FnMut(usize)) {
        let mut appenders: BTreeMap<usize, DbAppender<'_>> = BTreeMap::new();
        let program = self.program;
        while let Some(op) = program.ops.get(self.answers.len()) {
            let answer = match op {
                Op::Reopen | Op::Kill => return,
                Op::Begin { appender } => {
                    appenders.insert(*appender, db.appender().unwrap());
                    vec!["ok".to_owned()]
                }
                Op::Commit { appender } => {
                    appenders.remove(appender).unwrap().commit().unwrap();
                    vec![times(db)]
                }
                Op::Rollback { appender } => {
                    appenders.remove(appender).unwrap().rollback().unwrap();
                    vec![times(db)]
                }
                Op::Append(append) => {
                    vec![self.append(appenders.get_mut(&append.appender).unwrap(), append)]
                }
                Op::Exemplars { appender, series, by_ref, exemplars } => {
                    let known = self.known(*series, *by_ref);
                    let appender = appenders.get_mut(appender).unwrap();
                    vec![self.extras(appender, *series, known, exemplars, None)]
                }
                Op::Metadata { appender, series, by_ref, metadata } => {
                    let known = self.known(*series, *by_ref);
                    let appender = appenders.get_mut(appender).unwrap();
                    vec![self.extras(appender, *series, known, &[], Some(metadata))]
                }
                administrative => self.administer(db, administrative),
            };
            self.answers.push(answer);
            done(self.answers.len());
        }
    }

    fn known(&self, series: usize, by_ref: bool) -> Option<HeadSeriesRef> {
        self.refs[series].filter(|_| by_ref)
    }

    fn append(&mut self, appender: &mut DbAppender<'_>, append: &Append) -> String {
        let known = self.known(append.series, append.by_ref);
        let value = match &append.value {
            OwnedValue::Float(value) => SampleValue::Float(*value),
            OwnedValue::Histogram(h) => SampleValue::Histogram(h),
            OwnedValue::FloatHistogram(h) => SampleValue::FloatHistogram(h),
        };
        let sample = Sample { time: append.t, start_time: append.st, value };
        let appended = match appender.append(known, &self.labels[append.series], sample) {
            Ok(series) => series,
            Err(error) => return kind(&error).to_owned(),
        };
        self.refs[append.series] = Some(appended);
        if append.value.is_stale() && self.program.api == super::program::Api::V2 {
            // As 3.15's second interface does it.
            return format!("ok {}", appended.get());
        }
        let metadata = append.metadata.as_ref();
        self.extras(appender, append.series, Some(appended), &append.exemplars, metadata)
    }

    fn extras(
        &self,
        appender: &mut DbAppender<'_>,
        series: usize,
        known: Option<HeadSeriesRef>,
        exemplars: &[OwnedExemplar],
        metadata: Option<&OwnedMetadata>,
    ) -> String {
        let labels = &self.labels[series];
        let mut line = format!("ok {}", known.map_or(0, HeadSeriesRef::get));
        for exemplar in exemplars {
            let (t, value) = (exemplar.t, exemplar.value);
            let exemplar = Exemplar { labels: sorted(&exemplar.labels), value, time: t };
            if let Err(error) = appender.append_exemplar(known, labels, &exemplar) {
                line += &format!(" {}", kind(&error));
            }
        }
        if let Some(metadata) = metadata
            && let Err(error) = appender.update_metadata(known, labels, &metadata.ours())
        {
            return format!("metadata {}", kind(&error));
        }
        line
    }

    fn administer(&mut self, db: &Db, op: &Op) -> Answer {
        match op {
            Op::Delete { matchers, min_t, max_t } => {
                let matchers: Vec<Matcher> = matchers.iter().map(matcher).collect();
                db.delete(&matchers, TimeRange::new(*min_t, *max_t)).unwrap();
                vec![times(db)]
            }
            Op::Truncate { min_t } => {
                if db.head().min_time() != i64::MAX {
                    db.head().truncate(*min_t).unwrap();
                }
                vec![times(db)]
            }
            Op::Map => {
                db.head().map_chunks().unwrap();
                vec!["ok".to_owned()]
            }
            Op::Compact => {
                db.flush().unwrap();
                db.compact().unwrap();
                let mut answer = vec![times(db)];
                answer.extend(self.new_blocks());
                answer
            }
            Op::State => {
                let mut answer = vec![times(db)];
                let querier = db.querier(TimeRange::ALL).unwrap();
                answer.extend(digest::lines(&querier.querier()).unwrap());
                answer.extend(digest::exemplars(db.head()));
                answer
            }
            other => panic!("{other:?} is no operation of this kind"),
        }
    }

    /// Closes and opens, or opens a copy of what a killed process would leave.
    fn reopen(&mut self, db: Db, kill: bool) -> Db {
        let from = self.dir.clone();
        if kill {
            self.kills += 1;
            let name = format!("{}.{}", from.display(), self.kills);
            self.dir = PathBuf::from(name);
            copy(&from, &self.dir);
        }
        db.close().unwrap();
        drop(db);
        if kill {
            fs::remove_dir_all(&from).unwrap();
        }
        self.refs.fill(None);
        self.open()
    }

    /// Copies blocks that were not there before to OPERATION-NUMBER, in the order of their times,
    /// those of late samples last; and describes them.
    fn new_blocks(&mut self) -> Vec<String> {
        let mut metas = Vec::new();
        for entry in fs::read_dir(&self.dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.join("meta.json").exists() && !self.seen.contains(&name) {
                let meta = BlockMeta::decode(&fs::read(path.join("meta.json")).unwrap()).unwrap();
                metas.push((meta, path));
                self.seen.push(name);
            }
        }
        let late =
            |meta: &BlockMeta| meta.compaction.hints.iter().any(|hint| hint == "from-out-of-order");
        metas.sort_by_key(|(meta, _)| {
            (late(meta), meta.min_time, meta.max_time, meta.compaction.level)
        });
        let operation = self.answers.len();
        let mut lines = Vec::new();
        for (number, (meta, path)) in metas.iter().enumerate() {
            let name = format!("{operation}-{number}");
            copy(path, &self.copies.join(&name));
            let hints = meta.compaction.hints.join(" ");
            let (level, stats) = (meta.compaction.level, &meta.stats);
            lines.push(format!(
                "{name} {}..{} level {level} series {} samples {} hints [{hints}]",
                meta.min_time, meta.max_time, stats.num_series, stats.num_samples
            ));
        }
        lines
    }
}

impl OwnedValue {
    fn is_stale(&self) -> bool {
        match self {
            Self::Float(value) => value.to_bits() == tsdb_format::chunkenc::STALE_NAN_BITS,
            Self::Histogram(h) => h.is_stale(),
            Self::FloatHistogram(h) => h.is_stale(),
        }
    }
}

impl OwnedMetadata {
    fn ours(&self) -> Metadata {
        let metric_type = match self.kind {
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            "histogram" => MetricType::Histogram,
            "summary" => MetricType::Summary,
            _ => MetricType::Unknown,
        };
        Metadata { metric_type, unit: self.unit.clone(), help: self.help.clone() }
    }
}

/// As `judge head-run` says it.
fn times(db: &Db) -> String {
    let head = db.head();
    let span = |min: i64, max: i64| {
        if min == i64::MAX || max == i64::MIN { "none".to_owned() } else { format!("{min}..{max}") }
    };
    let stats = head.stats();
    format!(
        "ok head={} ooo={} series={}",
        span(head.min_time(), head.max_time()),
        span(stats.head_min_ooo_time, stats.head_max_ooo_time),
        stats.head_series
    )
}

fn sorted(pairs: &[(String, String)]) -> Labels {
    let mut labels = Labels::default();
    labels.assign_sorted(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    labels
}

fn matcher([name, operator, value]: &[String; 3]) -> Matcher {
    let operator = match operator.as_str() {
        "=" => MatchOp::Equal,
        "!=" => MatchOp::NotEqual,
        "=~" => MatchOp::Regex,
        _ => MatchOp::NotRegex,
    };
    Matcher::new(name, operator, value).unwrap()
}

/// What `judge head-run` calls a refusal.
fn kind(error: &AppendError) -> &'static str {
    match error {
        AppendError::OutOfOrderSample => "out-of-order",
        AppendError::OutOfBounds => "out-of-bounds",
        AppendError::TooOldSample => "too-old",
        AppendError::DuplicateSample { .. } | AppendError::DuplicateHistogram { .. } => "duplicate",
        AppendError::EmptyLabels => "empty-labels",
        AppendError::DuplicateLabelName { .. } => "duplicate-label",
        AppendError::UnknownSeries => "unknown-series",
        AppendError::OutOfOrderExemplar => "exemplar-out-of-order",
        AppendError::ExemplarLabelLength { .. } => "exemplar-labels-too-long",
        AppendError::InvalidHistogram(error) => match error {
            HistogramError::UnknownSchema(_) => "histogram-schema",
            HistogramError::SpanNegativeOffset { .. } => "histogram-span-negative-offset",
            HistogramError::SpansBucketsMismatch { .. } => "histogram-spans-buckets-mismatch",
            HistogramError::NegativeBucketCount { .. } => "histogram-negative-bucket-count",
            HistogramError::NegativeCount => "histogram-negative-count",
            HistogramError::CountNotBigEnough { .. } => "histogram-count-not-big-enough",
            HistogramError::CountMismatch { .. } => "histogram-count-mismatch",
            HistogramError::CustomBounds => "histogram-custom-bounds",
            HistogramError::BadCustomBound { .. } => "histogram-custom-bound",
            HistogramError::CustomBoundsMismatch { .. } => "histogram-custom-bounds-mismatch",
            HistogramError::CustomBucketsOtherThanPositive => "histogram-custom-other",
            other => panic!("{other:?} has no name"),
        },
        other => panic!("{other:?} has no name"),
    }
}

/// Copies a directory as a killed process leaves it; a lock is nobody's any more.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if name != "lock" {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
