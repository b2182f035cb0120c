//! Tombstones: which samples of a block are deleted.
//!
//! ```text
//! | magic 0130BA30 4 | format 1 1 | stone | stone | ... | crc 4 |
//! stone: | series ref <uvarint> | min time <varint> | max time <varint> |
//! ```
//!
//! The checksum covers the stones alone. Stones stand in no particular order. Times are
//! milliseconds, both inclusive; intervals of a series that touch or overlap become one.
//!
//! ```
//! use tsdb_format::tombstones::Tombstones;
//!
//! let none = Tombstones::decode(&Tombstones::default().encode())?;
//! assert!(none.is_empty() && none.get(7).is_empty());
//! # Ok::<(), tsdb_format::DecodeError>(())
//! ```
//!
//! Source: Prometheus 3.15, `tsdb/tombstones` (its format page describes a trailer that does not
//! exist).

use crate::checksum::crc32c;
use crate::varint::{put_uvarint, put_varint, uvarint, varint};
use crate::{DecodeError, DecodeErrorKind};

const MAGIC: u32 = 0x0130_BA30;
const FORMAT: u8 = 1;
/// Magic number and format, in front of the stones.
pub const TOMBSTONES_HEADER_BYTES: usize = HEADER_BYTES;
const HEADER_BYTES: usize = 5;
/// The longest stone: three varints.
pub const STONE_BYTES_MAX: usize = 30;

/// A deleted span of time in milliseconds, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First deleted millisecond.
    pub min: i64,
    /// Last deleted millisecond.
    pub max: i64,
}

/// The deleted intervals of the series of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones {
    /// Sorted by series, then time; disjoint and not adjacent within a series.
    series: Vec<u64>,
    /// `ends[i]` is where the intervals of `series[i]` end in `intervals`.
    ends: Vec<usize>,
    intervals: Vec<Interval>,
}

impl Tombstones {
    /// Decodes a `tombstones` file.
    ///
    /// # Errors
    /// When the file is not one, is cut off, or its checksum does not match.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        check_tombstones_header(bytes)?;
        let Some((stones, crc)) = bytes.get(HEADER_BYTES..).and_then(<[u8]>::split_last_chunk::<4>)
        else {
            return Err(DecodeError::eof(bytes.len() as u64));
        };
        let (expected, actual) = (u32::from_be_bytes(*crc), crc32c(stones));
        if expected != actual {
            let kind = DecodeErrorKind::ChecksumMismatch { expected, actual };
            return Err(DecodeError::new((bytes.len() - 4) as u64, kind));
        }
        let mut list = Vec::new();
        let mut rest = stones;
        while !rest.is_empty() {
            let at = (HEADER_BYTES + stones.len() - rest.len()) as u64;
            let (stone, len) = decode_stone(rest)
                .ok_or_else(|| DecodeError::new(at, DecodeErrorKind::InvalidVarint))?;
            list.push(stone);
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(list.into_iter().collect())
    }

    /// Encodes the file, series in order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_be_bytes().to_vec();
        out.push(FORMAT);
        for (series, intervals) in self.iter() {
            for interval in intervals {
                put_uvarint(&mut out, series);
                put_varint(&mut out, interval.min);
                put_varint(&mut out, interval.max);
            }
        }
        let crc = crc32c(out.get(HEADER_BYTES..).unwrap_or_default());
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// The deleted intervals of a series, in order; empty for most.
    #[must_use]
    pub fn get(&self, series_ref: u64) -> &[Interval] {
        match self.series.binary_search(&series_ref) {
            Ok(at) => self.intervals_at(at),
            Err(_) => &[],
        }
    }

    /// How many intervals there are in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.intervals.len()
    }

    /// Whether nothing is deleted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Each series with its intervals, by reference.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[Interval])> {
        self.series.iter().enumerate().map(|(at, series)| (*series, self.intervals_at(at)))
    }

    fn intervals_at(&self, at: usize) -> &[Interval] {
        let end = self.ends.get(at).copied().unwrap_or(0);
        let start = at.checked_sub(1).and_then(|at| self.ends.get(at).copied()).unwrap_or(0);
        self.intervals.get(start..end).unwrap_or_default()
    }
}

/// Checks magic number and format, which begin `bytes`.
///
/// # Errors
/// When they are not those of a tombstones file, or cut off.
pub fn check_tombstones_header(bytes: &[u8]) -> Result<(), DecodeError> {
    let eof = || DecodeError::eof(bytes.len() as u64);
    let found = u32::from_be_bytes(*bytes.first_chunk().ok_or_else(eof)?);
    if found != MAGIC {
        let kind = DecodeErrorKind::InvalidMagic { expected: MAGIC, found };
        return Err(DecodeError::new(0, kind));
    }
    match bytes.get(HEADER_BYTES - 1) {
        Some(&FORMAT) => Ok(()),
        Some(&format) => Err(DecodeError::new(4, DecodeErrorKind::UnsupportedVersion(format))),
        None => Err(eof()),
    }
}

/// The stone that begins `bytes` (series reference and interval), and its length in bytes; `None`
/// if none does.
#[must_use]
pub fn decode_stone(bytes: &[u8]) -> Option<((u64, Interval), usize)> {
    let (series, a) = uvarint(bytes)?;
    let (min, b) = varint(bytes.get(a..)?)?;
    let (max, c) = varint(bytes.get(a + b..)?)?;
    Some(((series, Interval { min, max }), a + b + c))
}

/// Adds `new` to intervals in order that are apart from each other, which they stay: those that it
/// overlaps or touches become one with it. An interval that ends before it begins is nothing.
pub fn add_interval(to: &mut Vec<Interval>, new: Interval) {
    if new.min > new.max {
        return;
    }
    let begin = to.partition_point(|other| other.max.saturating_add(1) < new.min);
    let end = to.partition_point(|other| other.min <= new.max.saturating_add(1)).max(begin);
    let united = to.get(begin..end).unwrap_or_default().iter().fold(new, |united, other| {
        Interval { min: united.min.min(other.min), max: united.max.max(other.max) }
    });
    to.splice(begin..end, [united]);
}

impl FromIterator<(u64, Interval)> for Tombstones {
    fn from_iter<T: IntoIterator<Item = (u64, Interval)>>(stones: T) -> Self {
        let mut stones: Vec<(u64, Interval)> = stones.into_iter().collect();
        stones.sort_unstable();
        let mut out = Self::default();
        for (series, interval) in stones {
            if out.series.last() != Some(&series) {
                out.series.push(series);
                out.ends.push(out.intervals.len());
            } else if let Some(last) = out.intervals.last_mut()
                && interval.min <= last.max.saturating_add(1)
            {
                last.max = last.max.max(interval.max);
                continue;
            }
            out.intervals.push(interval);
            if let Some(end) = out.ends.last_mut() {
                *end = out.intervals.len();
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval(min: i64, max: i64) -> Interval {
        Interval { min, max }
    }

    #[test]
    fn touching_intervals_become_one() {
        let stones =
            [(7, interval(5, 9)), (3, interval(0, 1)), (7, interval(10, 12)), (7, interval(1, 2))];
        let tombstones: Tombstones = stones.into_iter().collect();
        assert_eq!(tombstones.get(7), [interval(1, 2), interval(5, 12)]);
        assert_eq!(tombstones.get(3), [interval(0, 1)]);
        assert_eq!(tombstones.get(4), []);
    }

    #[test]
    fn an_interval_at_the_end_of_time_is_added() {
        let mut all = vec![interval(i64::MIN, 0)];
        add_interval(&mut all, interval(5, i64::MAX));
        add_interval(&mut all, interval(9, 8));
        assert_eq!(all, [interval(i64::MIN, 0), interval(5, i64::MAX)]);
        add_interval(&mut all, interval(1, 4));
        assert_eq!(all, [interval(i64::MIN, i64::MAX)]);
    }

    #[test]
    fn an_empty_file_has_nine_bytes() {
        let bytes = Tombstones::default().encode();
        assert_eq!(bytes, [0x01, 0x30, 0xBA, 0x30, 1, 0, 0, 0, 0]);
        assert!(Tombstones::decode(&bytes).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn adding_one_by_one_is_as_good_as_all_at_once(
            spans in prop::collection::vec((-50i64..50, 0i64..20), 0..30),
        ) {
            let spans = spans.into_iter().map(|(min, len)| interval(min, min + len));
            let mut added = Vec::new();
            let all: Tombstones =
                spans.inspect(|span| add_interval(&mut added, *span)).map(|s| (7, s)).collect();
            prop_assert_eq!(added, all.get(7));
        }

        #[test]
        fn stones_survive_and_damage_is_seen(
            stones in prop::collection::vec((0u64..9, -50i64..50, 0i64..20), 0..30),
            at: prop::sample::Index, flip in 1u8..,
        ) {
            let stones = stones.into_iter().map(|(s, min, len)| (s, interval(min, min + len)));
            let tombstones: Tombstones = stones.collect();
            let mut bytes = tombstones.encode();
            prop_assert_eq!(&Tombstones::decode(&bytes).unwrap(), &tombstones);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(Tombstones::decode(&bytes).is_err());
        }
    }
}
