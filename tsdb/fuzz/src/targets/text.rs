//! Selectors, identities, varints.

use tsdb::query::parse_selector;
use tsdb_format::meta::parse_block_id;
use tsdb_format::varint::{put_uvarint, put_varint, uvarint, uvarint_len, varint};

/// Values to match: the matchers that come out must be of use.
const VALUES: [&str; 4] = ["", "a", "localhost:9090", "\u{1f980} crab\n"];

pub(super) fn check_selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_selector(text) {
        Ok(matchers) => {
            for matcher in &matchers {
                for value in VALUES {
                    let _ = matcher.matches(value);
                }
            }
        }
        Err(error) => {
            assert!(error.offset_bytes <= text.len(), "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
}

pub(super) fn check_block_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = parse_block_id(text) {
        assert_eq!(id.to_string(), text);
    }
}

pub(super) fn check_varint(data: &[u8]) {
    let mut again = Vec::with_capacity(16);
    if let Some((value, length)) = uvarint(data) {
        assert!(length <= data.len());
        put_uvarint(&mut again, value);
        assert_eq!(again.len(), uvarint_len(value));
        assert!(again.len() <= length, "the shortest form is written");
        assert_eq!(uvarint(&again), Some((value, again.len())));
    }
    if let Some((value, length)) = varint(data) {
        assert!(length <= data.len());
        again.clear();
        put_varint(&mut again, value);
        assert_eq!(varint(&again), Some((value, again.len())));
    }
}
