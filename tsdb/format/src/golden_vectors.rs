//! Reads the files that `tests/golden/main.go` writes: `tests/golden/README.md` describes them.

use std::borrow::Cow;
use std::path::Path;

use crate::chunkenc::{CounterResetHint, FloatHistogram, Histogram, Span, SparseHistogram};
use crate::varint;

/// A cursor over a vector file.
pub(crate) struct Vectors<'a>(pub(crate) &'a [u8]);

impl<'a> Vectors<'a> {
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(len);
        self.0 = tail;
        head
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    pub(crate) fn uint(&mut self) -> u64 {
        let (value, len) = varint::uvarint(self.0).unwrap();
        self.bytes(len);
        value
    }

    pub(crate) fn int(&mut self) -> i64 {
        let (value, len) = varint::varint(self.0).unwrap();
        self.bytes(len);
        value
    }

    pub(crate) fn float(&mut self) -> f64 {
        f64::from_bits(u64::from_le_bytes(self.bytes(8).try_into().unwrap()))
    }

    pub(crate) fn spans(&mut self) -> Vec<Span> {
        let len = self.uint();
        (0..len).map(|_| Span { offset: self.int() as i32, length: self.uint() as u32 }).collect()
    }

    pub(crate) fn histogram<C, B>(
        &mut self,
        count: impl Fn(&mut Self) -> C,
        bucket: impl Fn(&mut Self) -> B,
    ) -> SparseHistogram<C, B> {
        let counter_reset_hint = match self.byte() {
            0 => CounterResetHint::Unknown,
            1 => CounterResetHint::CounterReset,
            2 => CounterResetHint::NotCounterReset,
            _ => CounterResetHint::Gauge,
        };
        let schema = self.int() as i32;
        let zero_threshold = self.float();
        let (zero_count, all, sum) = (count(self), count(self), self.float());
        let (positive_spans, negative_spans) = (self.spans(), self.spans());
        let len = |spans: &[Span]| spans.iter().map(|span| span.length).sum::<u32>();
        SparseHistogram {
            counter_reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count: all,
            sum,
            positive_buckets: (0..len(&positive_spans)).map(|_| bucket(self)).collect(),
            negative_buckets: (0..len(&negative_spans)).map(|_| bucket(self)).collect(),
            custom_values: (0..self.uint()).map(|_| self.float()).collect(),
            positive_spans,
            negative_spans,
        }
    }

    /// Bytes behind their length.
    pub(crate) fn blob(&mut self) -> &'a [u8] {
        let len = self.uint() as usize;
        self.bytes(len)
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.blob().to_vec()).unwrap()
    }

    pub(crate) fn int_histogram(&mut self) -> Histogram {
        self.histogram(Self::uint, Self::int)
    }

    pub(crate) fn float_histogram(&mut self) -> FloatHistogram {
        self.histogram(Self::float, Self::float)
    }
}

/// The vectors called `name`: those of `TSDB_GOLDEN_DIR`, if that is set.
pub(crate) fn golden(name: &str, kept: &'static [u8]) -> Cow<'static, [u8]> {
    match std::env::var_os("TSDB_GOLDEN_DIR") {
        Some(dir) => std::fs::read(Path::new(&dir).join(name)).unwrap().into(),
        None => kept.into(),
    }
}
