//! The first byte of a record.

/// What a record holds. The names are Prometheus's but for "custom", which is short for custom
/// buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum RecordType {
    /// Labels of series.
    Series = 1,
    /// Float samples.
    Samples = 2,
    /// Deleted intervals of series.
    Tombstones = 3,
    /// Exemplars.
    Exemplars = 4,
    /// Out-of-order chunks that became mapped ones; in the write-behind log only.
    MmapMarkers = 5,
    /// Type, unit and help of series.
    Metadata = 6,
    /// Histograms with integer counts and exponential buckets.
    Histograms = 7,
    /// Histograms with float counts and exponential buckets.
    FloatHistograms = 8,
    /// Histograms with integer counts and custom buckets.
    CustomHistograms = 9,
    /// Histograms with float counts and custom buckets.
    CustomFloatHistograms = 10,
    /// Float samples with start timestamps.
    SamplesV2 = 11,
    /// Histograms with integer counts, any buckets, and start timestamps.
    HistogramsV2 = 12,
    /// Histograms with float counts, any buckets, and start timestamps.
    FloatHistogramsV2 = 13,
}

impl RecordType {
    /// Every type, by number.
    pub const ALL: [Self; 13] = [
        Self::Series,
        Self::Samples,
        Self::Tombstones,
        Self::Exemplars,
        Self::MmapMarkers,
        Self::Metadata,
        Self::Histograms,
        Self::FloatHistograms,
        Self::CustomHistograms,
        Self::CustomFloatHistograms,
        Self::SamplesV2,
        Self::HistogramsV2,
        Self::FloatHistogramsV2,
    ];

    /// The type of this number; `None` for one that 3.15 does not know either.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }

    /// The number, as it stands in the record.
    #[must_use]
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// The name that Prometheus has for it in messages and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Samples => "samples",
            Self::Tombstones => "tombstones",
            Self::Exemplars => "exemplars",
            Self::MmapMarkers => "mmapmarkers",
            Self::Metadata => "metadata",
            Self::Histograms => "histogram_samples",
            Self::FloatHistograms => "float_histogram_samples",
            Self::CustomHistograms => "custom_buckets_histogram_samples",
            Self::CustomFloatHistograms => "custom_buckets_float_histogram_samples",
            Self::SamplesV2 => "samples_v2",
            Self::HistogramsV2 => "histogram_samples_v2",
            Self::FloatHistogramsV2 => "float_histogram_samples_v2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_format() {
        for (at, record_type) in RecordType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(record_type.byte()), at + 1, "{record_type:?}");
            assert_eq!(RecordType::from_byte(record_type.byte()), Some(record_type));
        }
        for byte in [0, 14, 255] {
            assert_eq!(RecordType::from_byte(byte), None, "{byte}");
        }
    }
}
