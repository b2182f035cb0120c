//! Histogram series that grow, fall, change their shape; and histograms that are refused.

use std::collections::BTreeMap;

use tsdb_format::chunkenc::{
    CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Histogram, Span,
};

use super::program::OwnedValue;
use crate::judge::Random;

/// The state of a histogram series.
#[derive(Debug, Clone)]
pub(crate) struct HistogramState {
    float: bool,
    gauge: bool,
    custom: bool,
    /// How many buckets there are about: chunks of many bytes are cut otherwise than those of few.
    width: i64,
    schema: i32,
    zero_threshold: f64,
    zero: u64,
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
    bounds: Vec<f64>,
    sum: f64,
}

impl HistogramState {
    pub(crate) fn random(random: &mut Random) -> Self {
        let custom = random.percent(25);
        let mut state = Self {
            float: random.percent(50),
            gauge: !custom && random.percent(25),
            custom,
            width: random.pick(&[3, 8, 30, 160]),
            schema: 0,
            zero_threshold: 0.001,
            zero: 0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
            bounds: Vec::new(),
            sum: 0.0,
        };
        state.reshape(random);
        state
    }

    /// Another schema, other bounds, all counts from the start.
    fn reshape(&mut self, random: &mut Random) {
        self.positive.clear();
        self.negative.clear();
        self.zero = 0;
        self.sum = 0.0;
        if self.custom {
            self.schema = CUSTOM_BUCKETS_SCHEMA;
            self.zero_threshold = 0.0;
            let mut bound = 0.005 * random.between(1, 4) as f64;
            self.bounds.clear();
            for _ in 0..random.between(2, self.width.max(3)) {
                self.bounds.push(bound);
                bound *= 1.5;
            }
        } else {
            self.schema = random.between(-4, 8) as i32;
            self.zero_threshold = random.pick(&[0.001, 0.001, 0.0, 1e-128]);
        }
        for _ in 0..random.between(0, self.width) {
            let index = self.bucket(random);
            *self.positive.entry(index).or_default() += random.below(40);
        }
        if !self.custom && random.percent(30) {
            for _ in 0..random.between(1, self.width) {
                let index = self.bucket(random);
                *self.negative.entry(index).or_default() += random.below(40);
            }
        }
    }

    fn bucket(&self, random: &mut Random) -> i32 {
        if self.custom {
            return random.between(0, self.bounds.len() as i64) as i32;
        }
        let gap = random.pick(&[1, 1, 1, 9]);
        random.between(-self.width * gap, self.width * gap) as i32
    }

    /// The next sample.
    pub(crate) fn next(&mut self, random: &mut Random) -> OwnedValue {
        match random.below(100) {
            0 => self.reshape(random),
            1 => self.fall(random),
            2..=14 => {
                let index = self.bucket(random);
                *self.positive.entry(index).or_default() += 1;
            }
            15 if !self.custom => {
                let index = self.bucket(random);
                *self.negative.entry(index).or_default() += 1;
            }
            16 => {
                // An empty bucket may stay or go.
                self.positive.retain(|_, count| *count > 0);
            }
            17 if self.gauge => self.fall(random),
            _ => {}
        }
        let grow = |count: &mut u64, random: &mut Random| {
            *count += random.below(5) * random.below(2);
        };
        self.positive.values_mut().for_each(|count| grow(count, random));
        self.negative.values_mut().for_each(|count| grow(count, random));
        if !self.custom && random.percent(20) {
            self.zero += random.below(4);
        }
        self.sum += random.below(8000) as f64 / 8.0;
        self.value(random)
    }

    fn fall(&mut self, random: &mut Random) {
        if let Some(mut bucket) = self.positive.first_entry() {
            let fallen = bucket.get() / 2;
            bucket.insert(fallen);
        }
        if random.percent(50) {
            self.zero /= 2;
        }
        if random.percent(30) {
            self.positive.pop_last();
        }
    }

    fn value(&self, random: &mut Random) -> OwnedValue {
        let (positive_spans, positive_buckets, positive) = spans(&self.positive);
        let (negative_spans, negative_buckets, negative) = spans(&self.negative);
        let counter_reset_hint = if self.gauge {
            CounterResetHint::Gauge
        } else if random.percent(4) {
            random.pick(&[CounterResetHint::CounterReset, CounterResetHint::NotCounterReset])
        } else {
            CounterResetHint::Unknown
        };
        let histogram = Histogram {
            counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero,
            count: positive + negative + self.zero,
            sum: if random.percent(1) { f64::NAN } else { self.sum },
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: if self.custom { self.bounds.clone() } else { Vec::new() },
        };
        if !self.float {
            return OwnedValue::Histogram(histogram);
        }
        let mut float = FloatHistogram::default();
        histogram.to_float(&mut float);
        if self.schema % 2 == 0 {
            for count in &mut float.positive_buckets {
                *count += 0.25;
                float.count += 0.25;
            }
        }
        OwnedValue::FloatHistogram(float)
    }
}

fn spans(buckets: &BTreeMap<i32, u64>) -> (Vec<Span>, Vec<i64>, u64) {
    let (mut spans, mut deltas): (Vec<Span>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut next, mut last, mut total) = (0, 0, 0);
    for (&index, &count) in buckets {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
        deltas.push(count as i64 - last);
        last = count as i64;
        total += count;
    }
    (spans, deltas, total)
}

/// A histogram that a head refuses, or takes for a reason.
pub(crate) fn invalid(random: &mut Random) -> OwnedValue {
    let span = |offset, length| Span { offset, length };
    let good = Histogram {
        zero_threshold: 0.001,
        count: 6,
        sum: 3.0,
        positive_spans: vec![span(0, 2), span(1, 1)],
        positive_buckets: vec![1, 1, 1],
        ..Histogram::default()
    };
    let custom = Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        custom_values: vec![0.5, 1.0, 2.0],
        ..good.clone()
    };
    let mut h = if random.percent(50) { custom } else { good };
    let is_custom = h.uses_custom_buckets();
    match random.below(12) {
        0 => h.count = 5,
        1 => (h.count, h.sum) = (5, f64::NAN),
        2 => (h.count, h.sum) = (9, f64::NAN),
        3 => h.positive_spans[1].length = 2,
        4 => h.positive_spans[1].offset = -1,
        5 => h.positive_buckets = vec![1, -3, 1],
        6 => h.schema = random.pick(&[9, 52, 53, -5, -9, -10, -54, 1000]),
        7 if is_custom => h.custom_values = vec![0.5, 0.5, 2.0],
        7 => h.custom_values = vec![1.0],
        8 if is_custom => h.custom_values = vec![0.5, 1.0, f64::INFINITY],
        9 if is_custom => h.custom_values = vec![0.5, f64::NAN, 2.0],
        10 if is_custom => h.zero_count = 1,
        11 if is_custom => h.zero_threshold = 0.5,
        8 | 9 => h.negative_spans = vec![span(0, 1)],
        _ => (h.negative_spans, h.negative_buckets) = (vec![span(0, 1)], vec![-1]),
    }
    if random.percent(50) {
        return OwnedValue::Histogram(h);
    }
    let mut float = FloatHistogram::default();
    h.to_float(&mut float);
    match random.below(6) {
        0 => float.count = -1.0,
        1 if !is_custom => float.zero_count = -1.0,
        2 => float.positive_buckets[0] = -0.5,
        _ => {}
    }
    OwnedValue::FloatHistogram(float)
}
