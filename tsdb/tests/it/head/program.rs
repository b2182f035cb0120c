//! Append programs: operations on a head, which ours and Prometheus's carry out.
//!
//! Written as JSON lines they are what `judge head-run` reads (`testdata/judge/internal/headrun`).

use serde_json::{Value, json};
use tsdb_format::chunkenc::{CounterResetHint, FloatHistogram, Histogram, Span, SparseHistogram};

/// The options of a head that both are given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) chunk_range_ms: i64,
    pub(crate) out_of_order_window_ms: i64,
    pub(crate) out_of_order_cap_max: u8,
    pub(crate) xor2: bool,
    pub(crate) histogram_start_timestamps: bool,
    pub(crate) store_start_timestamps: bool,
    pub(crate) exemplars_max: usize,
    pub(crate) wal_compression: &'static str,
    pub(crate) wal_segment_bytes: u64,
    pub(crate) no_overlapping_compaction: bool,
}

impl Options {
    pub(crate) fn json(&self) -> Value {
        json!({
            "chunk_range_ms": self.chunk_range_ms,
            "out_of_order_window_ms": self.out_of_order_window_ms,
            "out_of_order_cap_max": self.out_of_order_cap_max,
            "xor2": self.xor2,
            "histogram_start_timestamps": self.histogram_start_timestamps,
            "store_start_timestamps": self.store_start_timestamps,
            "exemplars_max": self.exemplars_max,
            "wal_compression": self.wal_compression,
            "wal_segment_bytes": self.wal_segment_bytes,
            "no_overlapping_compaction": self.no_overlapping_compaction,
        })
    }
}

/// Which of Prometheus's appenders is asked: the first takes exemplars and metadata of their own,
/// the second start timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    V1,
    V2,
}

#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) options: Options,
    pub(crate) api: Api,
    /// The labels of the series, sorted by name, valid or not.
    pub(crate) series: Vec<Vec<(String, String)>>,
    pub(crate) ops: Vec<Op>,
}

#[derive(Debug, Clone)]
pub(crate) enum OwnedValue {
    Float(f64),
    Histogram(Histogram),
    FloatHistogram(FloatHistogram),
}

#[derive(Debug, Clone)]
pub(crate) struct OwnedExemplar {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) t: i64,
    pub(crate) value: f64,
}

#[derive(Debug, Clone)]
pub(crate) struct OwnedMetadata {
    pub(crate) kind: &'static str,
    pub(crate) unit: String,
    pub(crate) help: String,
}

/// A sample, with what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) appender: usize,
    pub(crate) series: usize,
    /// By its reference, if that is known; else by its labels.
    pub(crate) by_ref: bool,
    pub(crate) t: i64,
    pub(crate) st: i64,
    pub(crate) value: OwnedValue,
    pub(crate) exemplars: Vec<OwnedExemplar>,
    pub(crate) metadata: Option<OwnedMetadata>,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are the large one")]
pub(crate) enum Op {
    Begin {
        appender: usize,
    },
    Append(Append),
    Exemplars {
        appender: usize,
        series: usize,
        by_ref: bool,
        exemplars: Vec<OwnedExemplar>,
    },
    Metadata {
        appender: usize,
        series: usize,
        by_ref: bool,
        metadata: OwnedMetadata,
    },
    Commit {
        appender: usize,
    },
    Rollback {
        appender: usize,
    },
    /// Times are inclusive.
    Delete {
        matchers: Vec<[String; 3]>,
        min_t: i64,
        max_t: i64,
    },
    Truncate {
        min_t: i64,
    },
    Map,
    /// Whatever is due: the head becomes blocks, then what came out of order, then blocks are merged.
    Compact,
    Reopen,
    Kill,
    State,
}

impl Program {
    /// As `judge head-run` reads it.
    pub(crate) fn lines(&self) -> String {
        let api = if self.api == Api::V1 { "v1" } else { "v2" };
        let mut out = json!({ "options": self.options.json(), "api": api }).to_string();
        out.push('\n');
        let mut named = vec![false; self.series.len()];
        for op in &self.ops {
            let mut line = op.json();
            if let Some(series) = op.series()
                && !std::mem::replace(&mut named[series], true)
            {
                line["labels"] = json!(self.series[series]);
            }
            out.push_str(&line.to_string());
            out.push('\n');
        }
        out
    }
}

impl Op {
    /// The series it is about.
    pub(crate) fn series(&self) -> Option<usize> {
        match self {
            Self::Append(append) => Some(append.series),
            Self::Exemplars { series, .. } | Self::Metadata { series, .. } => Some(*series),
            _ => None,
        }
    }

    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Begin { appender } => json!({ "op": "begin", "a": appender }),
            Self::Append(append) => append.json(),
            Self::Exemplars { appender, series, by_ref, exemplars } => json!({
                "op": "exemplar", "a": appender, "s": series, "ref": by_ref,
                "exemplars": exemplars.iter().map(OwnedExemplar::json).collect::<Vec<_>>(),
            }),
            Self::Metadata { appender, series, by_ref, metadata } => json!({
                "op": "metadata", "a": appender, "s": series, "ref": by_ref,
                "metadata": metadata.json(),
            }),
            Self::Commit { appender } => json!({ "op": "commit", "a": appender }),
            Self::Rollback { appender } => json!({ "op": "rollback", "a": appender }),
            Self::Delete { matchers, min_t, max_t } => {
                json!({ "op": "delete", "matchers": matchers, "min": min_t, "max": max_t })
            }
            Self::Truncate { min_t } => json!({ "op": "truncate", "min": min_t }),
            Self::Map => json!({ "op": "map" }),
            Self::Compact => json!({ "op": "compact" }),
            Self::Reopen => json!({ "op": "reopen" }),
            Self::Kill => json!({ "op": "kill" }),
            Self::State => json!({ "op": "state" }),
        }
    }
}

impl Append {
    fn json(&self) -> Value {
        let mut line = json!({
            "op": "append", "a": self.appender, "s": self.series, "ref": self.by_ref,
            "t": self.t, "st": self.st,
        });
        match &self.value {
            OwnedValue::Float(value) => line["f"] = bits(*value),
            OwnedValue::Histogram(h) => line["h"] = histogram(h, |n| json!(n), |n| json!(n)),
            OwnedValue::FloatHistogram(h) => {
                line["fh"] = histogram(h, |n| bits(*n), |n| bits(*n));
            }
        }
        if !self.exemplars.is_empty() {
            line["exemplars"] = self.exemplars.iter().map(OwnedExemplar::json).collect();
        }
        if let Some(metadata) = &self.metadata {
            line["metadata"] = metadata.json();
        }
        line
    }
}

impl OwnedExemplar {
    fn json(&self) -> Value {
        json!({ "labels": self.labels, "t": self.t, "v": bits(self.value) })
    }
}

impl OwnedMetadata {
    fn json(&self) -> Value {
        json!({ "type": self.kind, "unit": self.unit, "help": self.help })
    }
}

fn bits(value: f64) -> Value {
    json!(format!("{:016x}", value.to_bits()))
}

fn histogram<Count, Bucket>(
    h: &SparseHistogram<Count, Bucket>,
    count: impl Fn(&Count) -> Value,
    bucket: impl Fn(&Bucket) -> Value,
) -> Value {
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    };
    let spans =
        |spans: &[Span]| -> Value { spans.iter().map(|s| json!([s.offset, s.length])).collect() };
    json!({
        "hint": hint,
        "schema": h.schema,
        "zero_threshold": bits(h.zero_threshold),
        "zero_count": count(&h.zero_count),
        "count": count(&h.count),
        "sum": bits(h.sum),
        "positive_spans": spans(&h.positive_spans),
        "negative_spans": spans(&h.negative_spans),
        "positive": h.positive_buckets.iter().map(&bucket).collect::<Value>(),
        "negative": h.negative_buckets.iter().map(&bucket).collect::<Value>(),
        "custom": h.custom_values.iter().map(|v| bits(*v)).collect::<Value>(),
    })
}
