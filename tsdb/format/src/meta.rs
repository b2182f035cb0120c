//! `meta.json`: what a block is, written as Prometheus writes it, byte for byte.
//!
//! Tab-indented, no newline at the end, zero values left out where Prometheus leaves them out.
//! Fields that this crate does not know are kept, behind those that it knows. Source: Prometheus
//! 3.15, `tsdb/block.go`.
//!
//! ```
//! use tsdb_format::meta::BlockMeta;
//!
//! let json = br#"{"ulid": "01BX5ZZKBKACTAV9WEVGEMMVRZ", "minTime": 0, "maxTime": 7200000,
//!     "compaction": {"level": 1}, "version": 1, "mine": true}"#;
//! let meta = BlockMeta::decode(json)?;
//! assert_eq!((meta.max_time, meta.compaction.level), (7_200_000, 1));
//! assert!(String::from_utf8(meta.encode()?)?.contains("\"mine\": true"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub use ulid::Ulid;

/// The only version of the file there is.
pub const META_VERSION: u32 = 1;

/// The hint of blocks that hold out-of-order samples only.
pub const HINT_OUT_OF_ORDER: &str = "from-out-of-order";
/// The hint of blocks made from the head's stale series only.
pub const HINT_STALE_SERIES: &str = "from-stale-series";
/// The hint of blocks made from selected series of the head only.
pub const HINT_SELECTED_SERIES: &str = "from-selected-series";

/// The content of a `meta.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// Identity of the block, the name of its directory.
    #[serde(with = "canonical")]
    pub ulid: Ulid,
    /// First millisecond that the block covers, inclusive.
    pub min_time: i64,
    /// End of what the block covers in milliseconds, exclusive.
    pub max_time: i64,
    /// What is in it.
    #[serde(default)]
    pub stats: BlockStats,
    /// How it came about.
    pub compaction: Compaction,
    /// [`META_VERSION`].
    pub version: u32,
    /// Fields of other programs, `thanos` among them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Counts of a block's content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of all types.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Samples in float chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Samples in histogram chunks of either kind.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
    /// Fields of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How a block came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Compaction {
    /// 1 for a flushed head, one more than the highest of its parents otherwise.
    pub level: u32,
    /// The flushed blocks that went into it, sorted.
    #[serde(with = "canonical_list", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// Whether a compaction of it came out empty.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks that it was made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Whether a Prometheus failed to compact it.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// What kind of head it was flushed from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Fields of other programs.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A block, described in the meta of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// Its identity; all zeros for the head.
    #[serde(with = "canonical")]
    pub ulid: Ulid,
    /// First millisecond, inclusive.
    pub min_time: i64,
    /// End in milliseconds, exclusive.
    pub max_time: i64,
}

/// Why a `meta.json` was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// It is not the JSON that it has to be.
    #[error("not a meta.json that can be understood: {0}")]
    Json(#[from] serde_json::Error),
    /// Its version is not known.
    #[error("unexpected meta file version {0}, want {META_VERSION}")]
    Version(u32),
}

impl BlockMeta {
    /// Reads a `meta.json`.
    ///
    /// # Errors
    /// When it is not valid JSON, lacks a field, or has another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetaError> {
        let meta: Self = serde_json::from_slice(bytes)?;
        if meta.version != META_VERSION {
            return Err(MetaError::Version(meta.version));
        }
        Ok(meta)
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// Never for a meta that was read or built of plain values.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))?;
        Ok(out)
    }
}

impl Compaction {
    /// Whether it carries `hint`.
    #[must_use]
    pub fn has_hint(&self, hint: &str) -> bool {
        self.hints.iter().any(|own| own == hint)
    }

    /// Adds `hint` unless it is there; hints stay sorted.
    pub fn set_hint(&mut self, hint: &str) {
        if !self.has_hint(hint) {
            self.hints.push(hint.to_owned());
            self.hints.sort();
        }
    }
}

/// The ULID that `text` is the canonical form of.
///
/// # Errors
/// When it has another length, other characters, lower case letters, or more than 128 bits.
pub fn parse_block_id(text: &str) -> Result<Ulid, InvalidBlockId> {
    match Ulid::from_str(text) {
        Ok(id) if id.to_string() == text => Ok(id),
        _ => Err(InvalidBlockId(text.to_owned())),
    }
}

/// Not a ULID in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidBlockId(
    /// What it was.
    pub String,
);

impl fmt::Display for InvalidBlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a ULID in canonical form (26 upper-case characters)", self.0)
    }
}

impl std::error::Error for InvalidBlockId {}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

mod canonical {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use ulid::Ulid;

    pub(super) fn serialize<S: Serializer>(id: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Ulid, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_block_id(&text).map_err(D::Error::custom)
    }
}

mod canonical_list {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use ulid::Ulid;

    pub(super) fn serialize<S: Serializer>(ids: &[Ulid], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(Ulid::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Ulid>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| super::parse_block_id(text).map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = "{\n\t\"ulid\": \"01BX5ZZKBKACTAV9WEVGEMMVRZ\",\n\t\"minTime\": -5,\n\t\"maxTime\": 7200000,\n\t\"stats\": {\n\t\t\"numSamples\": 3,\n\t\t\"numSeries\": 1,\n\t\t\"numChunks\": 1\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"01BX5ZZKBKACTAV9WEVGEMMVRZ\"\n\t\t],\n\t\t\"hints\": [\n\t\t\t\"from-out-of-order\"\n\t\t]\n\t},\n\t\"version\": 1,\n\t\"thanos\": {\n\t\t\"labels\": {\n\t\t\t\"z\": \"1\",\n\t\t\t\"a\": \"2\"\n\t\t}\n\t}\n}";

    #[test]
    fn a_file_survives_byte_for_byte_with_unknown_fields() {
        let meta = BlockMeta::decode(META.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(meta.encode().unwrap()).unwrap(), META);
    }

    #[test]
    fn another_version_and_a_lower_case_id_are_refused() {
        let other = META.replace("\"version\": 1", "\"version\": 2");
        assert!(matches!(BlockMeta::decode(other.as_bytes()), Err(MetaError::Version(2))));
        let lower = META.replace("01BX5ZZKBKACTAV9WEVGEMMVRZ", "01bx5zzkbkactav9wevgemmvrz");
        assert!(BlockMeta::decode(lower.as_bytes()).is_err());
        assert!(parse_block_id("81BX5ZZKBKACTAV9WEVGEMMVRZ").is_err(), "more than 128 bits");
    }
}
