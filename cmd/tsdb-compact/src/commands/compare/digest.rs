//! The samples of some blocks in one number, however they are cut into chunks and encoded.

use serde::{Deserialize, Serialize};
use tsdb::block::Block;
use tsdb::query::{Bucket, Querier, Samples, TimeRange, ValueType, buckets, float_buckets};

/// What two blocks with the same samples have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SampleDigest {
    pub(super) series: u64,
    pub(super) samples: u64,
    /// Of labels, times and values in their order, in hexadecimal digits.
    pub(super) digest: String,
}

impl SampleDigest {
    /// Reads every sample of `blocks`, merged.
    ///
    /// # Errors
    /// If one can't be read.
    pub(super) fn of(blocks: &[Block]) -> anyhow::Result<Self> {
        let querier = Querier::new(blocks);
        let mut set = querier.select(&[], TimeRange::ALL)?;
        let mut mix = Mixer::default();
        let (mut samples, mut series_count, mut count) = (Samples::new(), 0, 0);
        while let Some(series) = set.next()? {
            series_count += 1;
            for (name, value) in series.labels() {
                mix.bytes(name.as_bytes());
                mix.bytes(value.as_bytes());
            }
            series.samples(&mut samples);
            while let Some(value_type) = samples.next()? {
                count += 1;
                mix.sample(&samples, value_type);
            }
            // So that a sample can't move to the series behind it.
            mix.word(count);
        }
        Ok(Self { series: series_count, samples: count, digest: format!("{:016x}", mix.state) })
    }
}

/// Each step can be undone, so two states differ as long as one word differs; the rotation brings
/// the multiplication's high bits down again.
#[derive(Default)]
struct Mixer {
    state: u64,
    buckets: Vec<Bucket<u64>>,
    float_buckets: Vec<Bucket<f64>>,
}

impl Mixer {
    fn word(&mut self, word: u64) {
        self.state = (self.state.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn sample(&mut self, samples: &Samples<'_>, value_type: ValueType) {
        self.word(samples.timestamp().cast_unsigned());
        self.word(samples.start_timestamp().cast_unsigned());
        if value_type == ValueType::Float {
            self.word(samples.float().to_bits());
        } else if let Some(histogram) = samples.histogram() {
            self.word(1);
            self.word(histogram.count);
            self.word(histogram.sum.to_bits());
            let mut found = std::mem::take(&mut self.buckets);
            buckets(histogram, &mut found);
            found.iter().for_each(|bucket| self.bucket(bucket, bucket.count));
            self.buckets = found;
        } else if let Some(histogram) = samples.float_histogram() {
            self.word(2);
            self.word(histogram.count.to_bits());
            self.word(histogram.sum.to_bits());
            let mut found = std::mem::take(&mut self.float_buckets);
            float_buckets(histogram, &mut found);
            found.iter().for_each(|bucket| self.bucket(bucket, bucket.count.to_bits()));
            self.float_buckets = found;
        }
    }

    fn bucket<C>(&mut self, bucket: &Bucket<C>, count: u64) {
        self.word(bucket.lower.to_bits());
        self.word(bucket.upper.to_bits());
        self.word(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(words: &[u64]) -> u64 {
        let mut mixer = Mixer::default();
        words.iter().for_each(|word| mixer.word(*word));
        mixer.state
    }

    #[test]
    fn any_bit_of_any_word_and_their_order_matter() {
        let words = [1, 2, u64::MAX, 0, 5];
        for place in 0..words.len() {
            for bit in 0..64 {
                let mut other = words;
                other[place] ^= 1 << bit;
                assert_ne!(mixed(&words), mixed(&other), "word {place}, bit {bit}");
            }
        }
        assert_ne!(mixed(&[1, 2]), mixed(&[2, 1]));
        assert_ne!(mixed(&[1]), mixed(&[1, 0]));
    }
}
