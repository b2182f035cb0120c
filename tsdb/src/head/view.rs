//! A stand-in for the view of the real head.
#![allow(missing_docs, reason = "a stand-in")]
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roaring::RoaringBitmap;
use tsdb_format::chunkenc::Encoding;
use tsdb_format::tombstones::Interval;

use super::HeadError;

#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadChunk {
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) encoding: Encoding,
    pub(crate) samples: u32,
    pub(crate) open: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct HeadSeries {
    pub(crate) series_ref: u64,
    pub(crate) labels: Vec<(u32, u32)>,
    pub(crate) chunks: Vec<HeadChunk>,
    pub(crate) out_of_order_from: usize,
    pub(crate) deleted: Vec<Interval>,
    pub(crate) bytes: Vec<Arc<Vec<u8>>>,
}

impl HeadSeries {
    pub(crate) fn data(&self, id: usize) -> &[u8] {
        self.bytes.get(id).map_or(&[], |bytes| bytes.as_slice())
    }
}

#[derive(Debug, Clone, Default)]
pub struct HeadView {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) symbols: Vec<String>,
    pub(crate) series: BTreeMap<u32, HeadSeries>,
}

impl HeadView {
    pub(crate) fn symbol(&self, id: u32) -> &str {
        &self.inner.symbols[id as usize]
    }

    pub(crate) fn symbols_sorted(&self) -> Vec<(&str, u32)> {
        let mut all: Vec<(&str, u32)> =
            self.inner.symbols.iter().enumerate().map(|(i, s)| (s.as_str(), i as u32)).collect();
        all.sort();
        all
    }

    fn pairs(&self) -> impl Iterator<Item = (u32, &str, &str)> {
        self.inner.series.iter().flat_map(move |(&id, s)| {
            s.labels.iter().map(move |&(n, v)| (id, self.symbol(n), self.symbol(v)))
        })
    }

    pub(crate) fn label_names(&self) -> Vec<&str> {
        self.pairs().map(|p| p.1).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(crate) fn label_values(&self, name: &str) -> Vec<&str> {
        let values = self.pairs().filter(|p| p.1 == name).map(|p| p.2);
        values.collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(crate) fn postings(&self, name: &str, value: &str) -> Option<Arc<RoaringBitmap>> {
        let ids: RoaringBitmap =
            self.pairs().filter(|p| p.1 == name && p.2 == value).map(|p| p.0).collect();
        (!ids.is_empty()).then(|| Arc::new(ids))
    }

    pub(crate) fn all(&self) -> Arc<RoaringBitmap> {
        Arc::new(self.inner.series.keys().copied().collect())
    }

    pub(crate) fn labels(&self, id: u32, out: &mut Vec<(u32, u32)>) -> bool {
        let Some(series) = self.inner.series.get(&id) else { return false };
        out.clone_from(&series.labels);
        true
    }

    pub(crate) fn min_time(&self) -> i64 {
        self.inner.series.values().flat_map(|s| &s.chunks).map(|c| c.min_time).min().unwrap_or(0)
    }

    pub(crate) fn max_time(&self) -> i64 {
        self.inner.series.values().flat_map(|s| &s.chunks).map(|c| c.max_time).max().unwrap_or(0)
    }

    pub(crate) fn rank(&self) -> Arc<[u32]> {
        let mut order: Vec<(Vec<(&str, &str)>, u32)> = Vec::new();
        for (&id, series) in &self.inner.series {
            let labels = series.labels.iter();
            order.push((labels.map(|&(n, v)| (self.symbol(n), self.symbol(v))).collect(), id));
        }
        order.sort();
        let slots = self.inner.series.keys().next_back().map_or(0, |&id| id as usize + 1);
        let mut rank = vec![0; slots];
        for (place, (_, id)) in order.iter().enumerate() {
            rank[*id as usize] = place as u32;
        }
        rank.into()
    }

    pub(crate) fn series(&self, id: u32, out: &mut HeadSeries) -> Result<bool, HeadError> {
        match self.inner.series.get(&id) {
            Some(series) => out.clone_from(series),
            None => return Ok(false),
        }
        Ok(true)
    }
}
