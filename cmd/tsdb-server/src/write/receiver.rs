//! Appends what a request has, and keeps account of it. Knows no messages but those that 1.0 and 2.0
//! have in common.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tsdb::db::DbAppender;
use tsdb::head::{AppendError, Exemplar, HeadError, HeadSeriesRef, Metadata, Sample};
use tsdb::query::Labels;

use super::histogram::{HistogramMessage, Kind};
use super::labels::{LabelLimits, LabelsError, Pairs};
use super::outcome::Outcome;
use crate::protobuf::{Fields, WireError};

/// Samples may be this much ahead of our clock, as in Prometheus.
const AHEAD_MAX: Duration = Duration::from_secs(10 * 60);

/// How a request is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The latest time that a sample may have, in milliseconds.
    latest_ms: i64,
    /// Whether start timestamps are kept.
    pub(super) keeps_start: bool,
    /// Whether metadata is logged.
    pub(super) logs_metadata: bool,
    /// How many labels a series may have, and how long.
    pub(super) labels: LabelLimits,
}

impl Rules {
    /// As of now.
    pub(super) fn new(keeps_start: bool, logs_metadata: bool, labels: LabelLimits) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest_ms = i64::try_from((now + AHEAD_MAX).as_millis()).unwrap_or(i64::MAX);
        Self { latest_ms, keeps_start, logs_metadata, labels }
    }
}

/// Appends the series of one request.
pub(super) struct Receiver<'d> {
    appender: DbAppender<'d>,
    pub(super) rules: Rules,
    pub(super) outcome: Outcome,
    /// The series at hand.
    labels: Labels,
    series: Option<HeadSeriesRef>,
    histogram: HistogramMessage,
}

impl<'d> Receiver<'d> {
    pub(super) fn new(appender: DbAppender<'d>, rules: Rules) -> Self {
        Self {
            appender,
            rules,
            outcome: Outcome::default(),
            labels: Labels::default(),
            series: None,
            histogram: HistogramMessage::default(),
        }
    }

    /// Goes on with the series of these labels.
    pub(super) fn begin(&mut self, pairs: &mut Pairs<'_>) -> Result<(), LabelsError> {
        self.series = None;
        let pairs = pairs.of_series()?;
        self.labels.assign_sorted(pairs.iter().copied());
        Ok(())
    }

    /// Appends the floats that `message` has in fields of this number.
    ///
    /// ```text
    ///    1 value, a double   2 timestamp   3 start timestamp (2.0)
    /// ```
    pub(super) fn floats(&mut self, message: &Fields<'_>, number: u32) -> Result<(), WireError> {
        let mut fields = message.clone();
        while let Some(field) = fields.next()? {
            if field.number != number {
                continue;
            }
            let (mut value, mut timestamp_ms, mut start_ms) = (0.0, 0, 0);
            let mut sample = field.message()?;
            while let Some(field) = sample.next()? {
                match field.number {
                    1 => value = field.double()?,
                    2 => timestamp_ms = field.int64()?,
                    3 => start_ms = field.int64()?,
                    _ => {}
                }
            }
            let start_ms = if self.rules.keeps_start { start_ms } else { 0 };
            match self.append(Sample::float(timestamp_ms, value).with_start(start_ms)) {
                Ok(()) => self.outcome.written.samples += 1,
                Err(error) => self.refuse(&error),
            }
        }
        Ok(())
    }

    /// Appends the histograms that `message` has in fields of this number.
    pub(super) fn histograms(
        &mut self,
        message: &Fields<'_>,
        number: u32,
    ) -> Result<(), WireError> {
        let mut fields = message.clone();
        while let Some(field) = fields.next()? {
            if field.number != number {
                continue;
            }
            let mut histogram = std::mem::take(&mut self.histogram);
            let read = field.message().and_then(|message| histogram.read(message));
            if read.is_ok() {
                self.append_histogram(&histogram);
            }
            self.histogram = histogram;
            read?;
        }
        Ok(())
    }

    fn append_histogram(&mut self, message: &HistogramMessage) {
        let timestamp_ms = message.timestamp_ms;
        let sample = match message.kind() {
            Some(Kind::Int(histogram)) => Sample::histogram(timestamp_ms, histogram),
            Some(Kind::Float(histogram)) => Sample::float_histogram(timestamp_ms, histogram),
            None => {
                let labels = &self.labels;
                self.outcome.refused.add(|| format!("too many buckets for series {labels}"));
                return;
            }
        };
        let start_ms = if self.rules.keeps_start { message.start_ms } else { 0 };
        match self.append(sample.with_start(start_ms)) {
            Ok(()) => self.outcome.written.histograms += 1,
            Err(error) => self.refuse(&error),
        }
    }

    fn append(&mut self, sample: Sample<'_>) -> Result<(), AppendError> {
        if sample.time > self.rules.latest_ms {
            return Err(AppendError::OutOfBounds);
        }
        self.series = Some(self.appender.append(self.series, &self.labels, sample)?);
        Ok(())
    }

    /// Appends an exemplar of the series at hand. `tells`: whether the sender is told when it comes
    /// too late.
    pub(super) fn exemplar(&mut self, exemplar: &Exemplar, tells: bool) {
        let appended = if exemplar.time > self.rules.latest_ms {
            Err(AppendError::OutOfBounds)
        } else {
            self.appender.append_exemplar(self.series, &self.labels, exemplar)
        };
        match appended {
            // Also where none are kept: as Prometheus counts them.
            Ok(_) => self.outcome.written.exemplars += 1,
            Err(error @ AppendError::OutOfOrderExemplar) if tells => self.refuse(&error),
            Err(error) => tracing::debug!(series = %self.labels, "an exemplar is refused: {error}"),
        }
    }

    /// Logs metadata of the series at hand, if that is wanted.
    pub(super) fn metadata(&mut self, metadata: &Metadata, samples: u64) {
        if let Err(error) = self.appender.update_metadata(self.series, &self.labels, metadata) {
            tracing::debug!(series = %self.labels, "metadata is not logged: {error}");
            self.outcome.without_metadata += samples;
        }
    }

    fn refuse(&mut self, error: &AppendError) {
        let labels = &self.labels;
        self.outcome.refused.add(|| format!("{error} for series {labels}"));
    }

    /// Makes it all visible.
    ///
    /// # Errors
    /// It could not be logged; nothing is visible.
    pub(super) fn commit(self) -> Result<Outcome, HeadError> {
        let Self { appender, mut outcome, .. } = self;
        let committed = appender.commit()?;
        // Another sender wrote newer samples of the same series in between.
        for _ in 0..committed.refused {
            outcome.refused.add(|| AppendError::OutOfOrderSample.to_string());
        }
        let written = &mut outcome.written;
        let of_floats = committed.refused.min(written.samples);
        written.samples -= of_floats;
        written.histograms = written.histograms.saturating_sub(committed.refused - of_floats);
        Ok(outcome)
    }
}

/// How many fields of these numbers a message has.
pub(super) fn count(message: &Fields<'_>, numbers: [u32; 2]) -> Result<u64, WireError> {
    let (mut fields, mut count) = (message.clone(), 0);
    while let Some(field) = fields.next()? {
        count += u64::from(numbers.contains(&field.number));
    }
    Ok(count)
}
