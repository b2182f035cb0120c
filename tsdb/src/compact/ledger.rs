//! PROVE: every sample that went in is accounted for.
//!
//! For each series, the samples that its source chunks' headers claim must equal the samples that
//! the headers of its output chunks claim, plus those that were left out for a reason that has a
//! name. The inputs are counted where chunks are fetched, the outputs where encoded bytes are
//! handed to the segment writer: neither by the code that moves samples.

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
