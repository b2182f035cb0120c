//! PROVE: every sample that went in is accounted for.
//!
//! For each series, the samples that its source chunks' headers claim must equal the samples that
//! the headers of its output chunks claim, plus those that were left out for a reason that has a
//! name. The inputs are counted where chunks are fetched, the outputs where encoded bytes are
//! handed to the segment writer: neither by the code that moves samples.
//!
//! Figures alone would not tell a chunk from another one of the same length, so chunks are handed
//! on as sets, too, each stage counting for itself ([`Tally`]):
//!
//! ```text
//! listed    by the sources' series entries, as they are read    times, reference
//!   = fetched                 when their bytes were checked
//! emitted   records as a worker checked or encoded them         times, checksum
//!   = written                 found in the bytes that went to the segment
//! placed    records, where they went                    times, reference
//!   = listed                  by the series entry, decoded again from what the index was given
//! ```
//!
//! A series' labels have a digest from where its entry is read to where its entry is written.

use super::batch::PlannedChunk;
use super::populate::Record;

/// A multiset, as its size and the sum of its members' hashes: equal tallies, equal sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    count: u64,
    sum: u64,
}

impl Tally {
    /// Adds a member, which the three words stand for.
    #[inline]
    pub(super) fn add(&mut self, a: u64, b: u64, c: u64) {
        self.count += 1;
        let hash = fold(
            fold(a ^ 0x9e37_79b9_7f4a_7c15, b ^ 0xd1b5_4a32_d192_ed03),
            c ^ 0x8bb8_4b93_962e_acc9,
        );
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Adds all members of another one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many members there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// What the labels of a series come to, given as (name, value) symbol ids: a series that is handed
/// on under other labels is another one.
#[inline]
pub(super) fn labels_digest(labels: &[u32]) -> u64 {
    let pairs = labels.chunks_exact(2).zip(1u64..);
    pairs.fold(labels.len() as u64, |sum, (pair, position)| {
        let pair = u64::from(pair[0]) << 32 | u64::from(pair[1]);
        let spread = position.wrapping_mul(0xd1b5_4a32_d192_ed03);
        sum.wrapping_add(fold(pair ^ 0x9e37_79b9_7f4a_7c15, spread))
    })
}

/// What a worker says of a series, or of a piece of one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeriesBooks {
    /// All terms but `samples_out`, which the segment writer counts.
    pub(super) ledger: Ledger,
    /// Chunks of the sources that were fetched and checked.
    pub(super) fetched: Tally,
    /// Their bytes.
    pub(super) fetched_bytes: u64,
    /// Records that are to be written.
    pub(super) emitted: Tally,
}

impl SeriesBooks {
    /// Books a chunk of source number `source`, with the samples that its header says.
    #[inline]
    pub(super) fn fetch(&mut self, source: u32, chunk: &PlannedChunk, record: &Record) {
        self.ledger.samples_in += u64::from(record.samples);
        self.fetched_bytes += u64::from(record.record_len);
        tally_listed(&mut self.fetched, source, chunk.reference, chunk.min_time, chunk.max_time);
    }

    /// Books a record of this checksum.
    #[inline]
    pub(super) fn emit(&mut self, crc: u32, min_time: i64, max_time: i64) {
        self.emitted.add(u64::from(crc), min_time as u64, max_time as u64);
    }

    /// Adds the books of another piece.
    pub(super) fn add(&mut self, other: &Self) {
        self.ledger.add(&other.ledger);
        self.fetched.merge(&other.fetched);
        self.fetched_bytes += other.fetched_bytes;
        self.emitted.merge(&other.emitted);
    }
}

/// Adds a chunk as the index of source number `source` lists it.
#[inline]
pub(super) fn tally_listed(
    tally: &mut Tally,
    source: u32,
    reference: u64,
    min_time: i64,
    max_time: i64,
) {
    let place = reference ^ u64::from(source).rotate_right(24);
    tally.add(place, min_time as u64, max_time as u64);
}

/// Where the samples of a set of series went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Samples in the chunks of the sources, by their headers.
    pub samples_in: u64,
    /// Samples in the chunks of the output, by their headers.
    pub samples_out: u64,
    /// Samples of chunks that are an exact copy of the chunk before them.
    pub duplicate: u64,
    /// Samples left out of a vertical merge because an equal one with the same timestamp stayed.
    pub superseded_equal: u64,
    /// Samples left out of a vertical merge because a *different* one with the same timestamp
    /// stayed: what replicas that are not identical lose, here as in Prometheus.
    pub superseded_conflicting: u64,
    /// Samples deleted by tombstones.
    pub tombstoned: u64,
    /// Samples outside the time range of the merged block.
    pub out_of_range: u64,
    /// Samples at the smallest timestamp there is (`i64::MIN`), which a vertical merge can't hold,
    /// in Prometheus neither.
    pub at_min_time: u64,
}

impl Ledger {
    /// Samples that were left out, for any reason.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.duplicate
            + self.superseded_equal
            + self.superseded_conflicting
            + self.tombstoned
            + self.out_of_range
            + self.at_min_time
    }

    /// Whether every sample is accounted for.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.samples_in == self.samples_out + self.left_out()
    }

    /// Adds the figures of another set of series.
    pub fn add(&mut self, other: &Self) {
        self.samples_in += other.samples_in;
        self.samples_out += other.samples_out;
        self.duplicate += other.duplicate;
        self.superseded_equal += other.superseded_equal;
        self.superseded_conflicting += other.superseded_conflicting;
        self.tombstoned += other.tombstoned;
        self.out_of_range += other.out_of_range;
        self.at_min_time += other.at_min_time;
    }
}
