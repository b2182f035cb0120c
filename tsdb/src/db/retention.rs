//! Which blocks are kept no longer: by time, by size, by a share of the disk.
//!
//! ```text
//!   newest maxTime                                        oldest
//!   | block | block | block | block | block | block | ...
//!   |<---------- time_ms ---------->|                       what ends here or earlier goes
//!   | head |+ sizes + ... > bytes |                         this block and all older ones go
//! ```
//!
//! As Prometheus 3.15 (`tsdb/db.go`): time is relative to the newest end of a block, not to a clock,
//! and the bound is inclusive; the head's files count towards the size; a percentage overrides the
//! number of bytes. Where we differ: a block whose child is there as well is not counted beside it.
//! 3.15 counts both in the reload that first sees the child, and can delete the oldest good block.
//!
//! This module opens no file and looks at no clock.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tsdb_format::meta::Ulid;

/// 15 days, as Prometheus.
const RETENTION_MS: i64 = 15 * 24 * 60 * 60 * 1000;

/// How long, and how much, is kept. Each limit that is 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Retention {
    /// Milliseconds between the newest end of a block and the end of one that goes.
    pub time_ms: i64,
    /// Bytes of blocks and head together.
    pub bytes_max: u64,
    /// Percent of the filesystem's size, which then takes the place of [`Self::bytes_max`].
    pub percentage_max: f64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { time_ms: RETENTION_MS, bytes_max: 0, percentage_max: 0.0 }
    }
}

impl Retention {
    /// Nothing ever goes.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { time_ms: 0, bytes_max: 0, percentage_max: 0.0 }
    }

    /// With this limit of time in milliseconds; 0 for none.
    #[must_use]
    pub fn time_ms(mut self, time_ms: i64) -> Self {
        self.time_ms = time_ms;
        self
    }

    /// With this limit of bytes; 0 for none.
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// With this share of the filesystem's size, in percent; 0 for none.
    #[must_use]
    pub fn percentage_max(mut self, percent: f64) -> Self {
        self.percentage_max = percent;
        self
    }

    /// The bytes that apply on a filesystem of `disk_bytes`, of which nothing may be known (0).
    #[must_use]
    pub fn bytes_on(&self, disk_bytes: u64) -> u64 {
        if self.percentage_max > 0.0 && disk_bytes > 0 {
            // As Prometheus rounds: down.
            return (disk_bytes as f64 * self.percentage_max / 100.0) as u64;
        }
        self.bytes_max
    }
}

/// What retention looks at in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedBlock {
    /// Its identity.
    pub id: Ulid,
    /// Its end in milliseconds, exclusive.
    pub max_time: i64,
    /// Bytes of all of its files.
    pub bytes: u64,
}

/// The blocks that go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BeyondRetention {
    /// Those too old.
    pub time: BTreeSet<Ulid>,
    /// Those that make it too much.
    pub size: BTreeSet<Ulid>,
}

impl BeyondRetention {
    /// Whether the block goes.
    #[must_use]
    pub fn contains(&self, id: Ulid) -> bool {
        self.time.contains(&id) || self.size.contains(&id)
    }
}

/// Which of `blocks` go. `head_bytes` are the head's files: write-ahead logs and chunks.
///
/// `blocks` holds none that another one of them stands for.
#[must_use]
pub fn beyond_retention(
    blocks: &[RetainedBlock],
    head_bytes: u64,
    retention: &Retention,
    disk_bytes: u64,
) -> BeyondRetention {
    let mut newest_first: Vec<&RetainedBlock> = blocks.iter().collect();
    newest_first.sort_by_key(|block| (Reverse(block.max_time), block.id));
    let ids = |blocks: &[&RetainedBlock]| blocks.iter().map(|block| block.id).collect();
    let mut beyond = BeyondRetention::default();
    if let Some((newest, older)) = newest_first.split_first()
        && retention.time_ms > 0
    {
        let is_old = |block: &&RetainedBlock| {
            // The difference of two times may not fit 64 bits.
            i128::from(newest.max_time) - i128::from(block.max_time)
                >= i128::from(retention.time_ms)
        };
        let first_old = older.partition_point(|block| !is_old(block));
        beyond.time = ids(older.get(first_old..).unwrap_or_default());
    }
    let bytes_max = retention.bytes_on(disk_bytes);
    if bytes_max > 0 {
        let mut bytes = head_bytes;
        let first_over = newest_first.iter().position(|block| {
            bytes = bytes.saturating_add(block.bytes);
            bytes > bytes_max
        });
        if let Some(first_over) = first_over {
            beyond.size = ids(newest_first.get(first_over..).unwrap_or_default());
        }
    }
    beyond
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(id: u128, max_time: i64, bytes: u64) -> RetainedBlock {
        RetainedBlock { id: Ulid(id), max_time, bytes }
    }

    fn ids(ids: &[u128]) -> BTreeSet<Ulid> {
        ids.iter().map(|id| Ulid(*id)).collect()
    }

    #[test]
    fn the_bound_of_time_is_inclusive_and_relative_to_the_newest_block() {
        let blocks = [block(1, 1000, 1), block(2, 2000, 1), block(3, 3000, 1)];
        let old = |time_ms| {
            let retention = Retention::unlimited().time_ms(time_ms);
            beyond_retention(&blocks, 0, &retention, 0).time
        };
        assert_eq!(old(2001), ids(&[]));
        assert_eq!(old(2000), ids(&[1]));
        assert_eq!(old(1001), ids(&[1]));
        assert_eq!(old(1000), ids(&[1, 2]));
        assert_eq!(old(1), ids(&[1, 2]), "the newest stays, however short the time");
        assert_eq!(old(0), ids(&[]), "0 is no limit");
    }

    #[test]
    fn the_head_counts_and_the_oldest_go_first() {
        let blocks = [block(1, 1000, 10), block(2, 2000, 10), block(3, 3000, 10)];
        let over = |head_bytes, bytes| {
            let retention = Retention::unlimited().bytes_max(bytes);
            beyond_retention(&blocks, head_bytes, &retention, 0).size
        };
        assert_eq!(over(0, 30), ids(&[]), "exactly the limit is kept");
        assert_eq!(over(1, 30), ids(&[1]));
        assert_eq!(over(0, 29), ids(&[1]));
        assert_eq!(over(11, 30), ids(&[1, 2]));
        assert_eq!(over(25, 30), ids(&[1, 2, 3]), "the newest too, as in Prometheus");
        assert_eq!(over(u64::MAX, 30), ids(&[1, 2, 3]));
        assert_eq!(over(0, 0), ids(&[]), "0 is no limit");
    }

    #[test]
    fn an_old_block_behind_a_large_one_goes_even_if_it_would_fit() {
        let blocks = [block(1, 1000, 1), block(2, 2000, 100), block(3, 3000, 10)];
        let retention = Retention::unlimited().bytes_max(50);
        assert_eq!(beyond_retention(&blocks, 0, &retention, 0).size, ids(&[1, 2]));
    }

    #[test]
    fn a_percentage_overrides_bytes_where_the_size_of_the_disk_is_known() {
        let retention = Retention::unlimited().bytes_max(7).percentage_max(10.0);
        assert_eq!(retention.bytes_on(1009), 100);
        assert_eq!(retention.bytes_on(0), 7);
        assert_eq!(Retention::unlimited().bytes_max(7).bytes_on(1000), 7);
    }

    fn blocks() -> impl Strategy<Value = Vec<RetainedBlock>> {
        let times = prop_oneof![-50..50i64, Just(i64::MIN), Just(i64::MAX)];
        let block = (times, 0..20u64);
        proptest::collection::vec(block, 0..12).prop_map(|blocks| {
            let numbered = (1..).zip(blocks);
            numbered.map(|(id, (max_time, bytes))| self::block(id, max_time, bytes)).collect()
        })
    }

    proptest! {
        /// Against the rules as they are said, block by block, whatever the order.
        #[test]
        fn each_block_goes_for_its_own_reason(
            blocks in blocks(), time_ms in 0..120i64, bytes in 0..120u64, head in 0..30u64,
            rotate in 0..12usize,
        ) {
            let retention = Retention::unlimited().time_ms(time_ms).bytes_max(bytes);
            let beyond = beyond_retention(&blocks, head, &retention, 0);
            let newest = blocks.iter().map(|block| block.max_time).max();
            let first = blocks.iter().min_by_key(|block| (Reverse(block.max_time), block.id));
            for block in &blocks {
                let age = i128::from(newest.unwrap_or(0)) - i128::from(block.max_time);
                let is_old = time_ms > 0 && age >= i128::from(time_ms) && Some(block) != first;
                prop_assert_eq!(beyond.time.contains(&block.id), is_old);
                let as_new = |other: &&RetainedBlock| {
                    (Reverse(other.max_time), other.id) <= (Reverse(block.max_time), block.id)
                };
                let sum: u64 = blocks.iter().filter(as_new).map(|block| block.bytes).sum();
                let is_over = bytes > 0 && head + sum > bytes;
                prop_assert_eq!(beyond.size.contains(&block.id), is_over);
                prop_assert_eq!(beyond.contains(block.id), is_old || is_over);
            }
            let mut turned = blocks.clone();
            if !turned.is_empty() {
                turned.rotate_left(rotate % blocks.len());
            }
            prop_assert_eq!(beyond_retention(&turned, head, &retention, 0), beyond);
        }
    }
}
